"""Corpora as they are downloaded, one module each, and how they are told."""
