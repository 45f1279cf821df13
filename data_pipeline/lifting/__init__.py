"""Lifting of 2-D keypoints to 3-D skeletons."""
