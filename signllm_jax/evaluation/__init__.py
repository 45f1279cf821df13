"""Evaluation: scores of produced signing, glosses and readings."""
