"""Evaluation of produced signing, glosses and translations."""
