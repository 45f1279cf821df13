"""Training losses and sequence alignment."""
