"""Builds training records from raw keypoints."""
