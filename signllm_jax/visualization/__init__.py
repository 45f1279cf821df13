"""Drawings of skeletons, plots, and HTML pages."""
