"""Whole adaptation runs on the micro world, mode by mode, and their calls as traces."""
