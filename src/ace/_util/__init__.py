"""Helpers for all rooms: files, machine facts, hashes, optional packages."""
