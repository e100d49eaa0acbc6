"""Comparing texts: exact repeats, near duplicates, and retrieval of the bullets that fit a question."""
