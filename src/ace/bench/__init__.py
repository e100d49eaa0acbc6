"""Benchmarks: medians over repetitions and ratios against a baseline in the same run, on the machine at hand."""

from ace.bench.batches import BatchReport, measure_batches
from ace.bench.credit import CreditReport, measure_credit_ranking
from ace.bench.latency import LatencyReport, measure_latency
from ace.bench.memory import MemoryReport, measure_memory
from ace.bench.overhead import OverheadReport, OverheadRow, measure_overhead
from ace.bench.prefix import PrefixReport, PrefixRow, measure_prefix
from ace.bench.reflect import ReflectReport, measure_reflect
from ace.bench.registry import BENCHMARKS, Benchmark, Part, measure_all
from ace.bench.replay import ReplayReport, measure_replay
from ace.bench.report import Chart, Partial, Report
from ace.bench.runs import RunReport, RunRow, measure_runs
from ace.bench.soak import SoakReport, SoakRow, measure_soak
from ace.bench.speculative import SpeculativeReport, SpeculativeRow, measure_speculative
from ace.bench.start import StartReport, StartRow, measure_start
from ace.bench.throughput import ThroughputReport, ThroughputRow, measure_throughput

__all__ = [
    "BENCHMARKS",
    "BatchReport",
    "Benchmark",
    "Chart",
    "CreditReport",
    "LatencyReport",
    "MemoryReport",
    "OverheadReport",
    "OverheadRow",
    "Part",
    "Partial",
    "PrefixReport",
    "PrefixRow",
    "ReflectReport",
    "ReplayReport",
    "Report",
    "RunReport",
    "RunRow",
    "SoakReport",
    "SoakRow",
    "SpeculativeReport",
    "SpeculativeRow",
    "StartReport",
    "StartRow",
    "ThroughputReport",
    "ThroughputRow",
    "measure_all",
    "measure_batches",
    "measure_credit_ranking",
    "measure_latency",
    "measure_memory",
    "measure_overhead",
    "measure_prefix",
    "measure_reflect",
    "measure_replay",
    "measure_runs",
    "measure_soak",
    "measure_speculative",
    "measure_start",
    "measure_throughput",
]
