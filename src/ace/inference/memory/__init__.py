"""Dividing the memory of a device between engines."""
