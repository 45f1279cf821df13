"""Raw keypoints in, training records out."""
