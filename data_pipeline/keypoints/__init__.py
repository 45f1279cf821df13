"""Keypoints as detectors write them: finding clips, cleaning, sidecar texts."""
