"""Inference: from text to signing, with a trained model."""
