"""Benchmarks of the project itself: `python -m benchmarks --help`. What users measure is `ace bench`."""
