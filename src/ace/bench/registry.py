"""The benchmarks of `ace bench all`, in the order of its page."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from ace.bench.report import Report


class Measure(Protocol):
    """A benchmark: a function of keyword options with a seed."""

    def __call__(self, *, seed: int, **options: Any) -> Report: ...


@dataclass(frozen=True, slots=True)
class Benchmark:
    """`measure` is `module:function`; `quick` replaces some of `options` for a look in minutes.

    `shape` is the name of the option that takes a model's shape, for those that have one.
    """

    name: str
    title: str
    measure: str
    options: Mapping[str, Any]
    quick: Mapping[str, Any]
    shape: str | None = None

    def function(self) -> Measure:
        """The function, imported when it is needed."""
        module, _, name = self.measure.partition(":")
        function: Measure = getattr(import_module(module), name)
        return function


ONCE = {"repetitions": 1}
BENCHMARKS: tuple[Benchmark, ...] = (
    Benchmark(
        "run",
        "A whole run",
        "ace.bench.adaptation_runs.run_comparison:measure_runs",
        {"samples": 50, "epochs": 1, "repetitions": 3},
        {"samples": 6, **ONCE},
    ),
    Benchmark(
        "latency",
        "One request at a time",
        "ace.bench.latency:measure_latency",
        {"shape": "micro", "prompts": 20, "tokens": 64},
        {"prompts": 3, "tokens": 8},
        "shape",
    ),
    Benchmark(
        "memory",
        "KV memory",
        "ace.bench.kv_memory:measure_memory",
        {"shape": "micro", "requests": 48, "tokens": 64, "budget_mib": 256},
        {"requests": 8, "tokens": 8},
        "shape",
    ),
    Benchmark(
        "throughput",
        "Generator calls alone",
        "ace.bench.throughput:measure_throughput",
        {"requests": 50, "repetitions": 3},
        {"requests": 8, **ONCE},
    ),
    Benchmark(
        "speculative",
        "Speculative decoding",
        "ace.bench.speculative_methods:measure_speculative",
        {"requests": 48, "batches": (1, 16), "repetitions": 3},
        {"requests": 6, **ONCE},
    ),
    Benchmark("start", "Start-up", "ace.bench.startup_time:measure_start", {"repetitions": 3}, ONCE),
)


@dataclass(frozen=True, slots=True)
class Part:
    """One benchmark's report, or the error that ended it, and how long it took."""

    benchmark: Benchmark
    report: Report | None
    error: str | None
    seconds: float


def measure_all(benchmarks: Sequence[Benchmark], *, quick: bool, seed: int, shape: str | None = None) -> Iterator[Part]:
    """Each benchmark's result as soon as it is there; one that fails is given as failed, and the next one begins."""
    for benchmark in benchmarks:
        options = {**benchmark.options, **(benchmark.quick if quick else {})}
        if shape is not None and benchmark.shape is not None:
            options[benchmark.shape] = shape
        started = time.perf_counter()
        report: Report | None = None
        error: str | None = None
        try:
            report = benchmark.function()(seed=seed, **options)
        except Exception as problem:  # hours of other measurements are not to be lost with it
            error = f"{type(problem).__name__}: {problem}"
        yield Part(benchmark, report, error, time.perf_counter() - started)
