"""Benchmarks: medians over repetitions and ratios against a baseline in the same run, on the machine at hand."""

from ace.bench.credit import CreditReport, measure_credit_ranking
from ace.bench.overhead import OverheadReport, OverheadRow, measure_overhead
from ace.bench.runs import RunReport, RunRow, measure_runs
from ace.bench.soak import SoakReport, SoakRow, measure_soak
from ace.bench.start import StartReport, StartRow, measure_start
from ace.bench.throughput import ThroughputReport, ThroughputRow, measure_throughput

__all__ = [
    "CreditReport",
    "OverheadReport",
    "OverheadRow",
    "RunReport",
    "RunRow",
    "SoakReport",
    "SoakRow",
    "StartReport",
    "StartRow",
    "ThroughputReport",
    "ThroughputRow",
    "measure_credit_ranking",
    "measure_overhead",
    "measure_runs",
    "measure_soak",
    "measure_start",
    "measure_throughput",
]
