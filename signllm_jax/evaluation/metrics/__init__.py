"""Metrics of produced signing and of texts."""
