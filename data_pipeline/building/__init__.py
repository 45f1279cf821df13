"""Builds data sets: from clips to verified shards."""
