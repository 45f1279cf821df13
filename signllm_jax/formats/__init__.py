"""File formats of poses and keypoints; one module reads and writes each."""
