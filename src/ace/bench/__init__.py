"""Benchmarks: medians over repetitions and ratios against a baseline in the same run, on the machine at hand."""

from ace.bench.credit import CreditReport, measure_credit_ranking
from ace.bench.overhead import OverheadReport, OverheadRow, measure_overhead
from ace.bench.prefix import PrefixReport, PrefixRow, measure_prefix
from ace.bench.runs import RunReport, RunRow, measure_runs
from ace.bench.soak import SoakReport, SoakRow, measure_soak
from ace.bench.speculative import SpeculativeReport, SpeculativeRow, measure_speculative
from ace.bench.throughput import ThroughputReport, ThroughputRow, measure_throughput

__all__ = [
    "CreditReport",
    "OverheadReport",
    "OverheadRow",
    "PrefixReport",
    "PrefixRow",
    "RunReport",
    "RunRow",
    "SoakReport",
    "SoakRow",
    "SpeculativeReport",
    "SpeculativeRow",
    "ThroughputReport",
    "ThroughputRow",
    "measure_credit_ranking",
    "measure_overhead",
    "measure_prefix",
    "measure_runs",
    "measure_soak",
    "measure_speculative",
    "measure_throughput",
]
