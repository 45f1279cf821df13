"""Skeletons as pictures and films."""
