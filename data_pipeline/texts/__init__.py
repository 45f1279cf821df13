"""Texts of corpora: normalisation, prompts and rule-made glosses."""
