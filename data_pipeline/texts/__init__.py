"""Normalises texts of corpora; makes prompts and glosses."""
