"""Similarity of texts: duplicates, near duplicates, and retrieval of bullets for questions."""
