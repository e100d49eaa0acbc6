"""Feedback on an answer: its grade, or label-free signals."""
