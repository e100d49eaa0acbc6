"""Attempts at a sample and feedback on them: grades, or label-free signals."""
