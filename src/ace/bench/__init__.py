"""Benchmarks: medians over repetitions and ratios against a baseline in the same run, on the machine at hand."""

from ace.bench.throughput import ThroughputReport, ThroughputRow, measure_throughput

__all__ = ["ThroughputReport", "ThroughputRow", "measure_throughput"]
