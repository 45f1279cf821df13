"""Trials that show which metrics know signing: validation in the open."""
