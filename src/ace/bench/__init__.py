"""Benchmarks: medians over repetitions and ratios against a baseline in the same run, on the machine at hand."""

from ace.bench.adaptation_runs.run_comparison import RunReport, RunRow, measure_runs
from ace.bench.config_comparison import ConfigReport, measure_config
from ace.bench.kv_memory import MemoryReport, measure_memory
from ace.bench.latency import LatencyReport, measure_latency
from ace.bench.registry import BENCHMARKS, Benchmark, Part, measure_all
from ace.bench.report import Chart, Partial, Report
from ace.bench.speculative_methods import (
    SpeculativeReport,
    SpeculativeRow,
    measure_config_speculative,
    measure_speculative,
)
from ace.bench.startup_time import StartReport, StartRow, measure_start
from ace.bench.throughput import ThroughputReport, ThroughputRow, measure_throughput

__all__ = [
    "BENCHMARKS",
    "Benchmark",
    "Chart",
    "ConfigReport",
    "LatencyReport",
    "MemoryReport",
    "Part",
    "Partial",
    "Report",
    "RunReport",
    "RunRow",
    "SpeculativeReport",
    "SpeculativeRow",
    "StartReport",
    "StartRow",
    "ThroughputReport",
    "ThroughputRow",
    "measure_all",
    "measure_config",
    "measure_config_speculative",
    "measure_latency",
    "measure_memory",
    "measure_runs",
    "measure_speculative",
    "measure_start",
    "measure_throughput",
]
