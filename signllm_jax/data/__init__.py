"""Data sets of clips and texts, and the batches made of them."""
