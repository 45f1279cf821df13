"""Readers and writers of pose files, one format a module."""
