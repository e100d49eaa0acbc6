"""Measurements of serving and of planning."""
