"""Execution of code that a model wrote, in a restricted process."""
