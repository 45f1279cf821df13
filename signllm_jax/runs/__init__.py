"""A run as it lies on disk: work directory, checkpoints, train state."""
