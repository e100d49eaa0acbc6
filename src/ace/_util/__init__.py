"""Helpers without a room of their own: files, machine facts, hashes, optional packages."""
