"""The reflector's stage alone: three rounds of reflection on each sample of one batch, behind a complete playbook.

The rounds of a sample follow each other, the samples do not wait for each other. Prompts, lengths of the answers,
precision and threads are the same in every mode; schemas are off, since they would end the answers.
"""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ace.bench.adaptation_runs.call_trace import Tier
from ace.bench.adaptation_runs.micro_prompts import reflector_calls
from ace.bench.adaptation_runs.run_comparison import threads_text
from ace.bench.hardware.engine_threads import threads_of
from ace.bench.hardware.isolated_process import isolated
from ace.bench.hardware.measured_machine import Machine
from ace.bench.hardware.model_shapes import build_shape, weight_bytes
from ace.bench.markdown_tables import report, table
from ace.bench.report import Chart, Partial, Report, ignore_partial
from benchmarks.replay import REPLAY_MODES, play_mode

ROUNDS = 3
TOKENS = 96
MODES = tuple(mode for mode in REPLAY_MODES if mode.variant == "full")


@dataclass(frozen=True, slots=True)
class ReflectRow:
    """One mode: the median over the repetitions, and how many times as fast as the first it is."""

    mode: str
    seconds: float
    speedup: float
    cached_share: float


@dataclass(frozen=True, slots=True)
class ReflectReport(Report):
    """All modes, the baseline first, with what they were measured on."""

    rows: tuple[ReflectRow, ...]
    shape: str
    samples: int
    repetitions: int
    seed: int
    threads: int
    machine: Machine

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "rounds": ROUNDS, "tokens": TOKENS}

    def to_markdown(self) -> str:
        """A table with the command's inputs and the machine above it."""
        inputs = f"--shape {self.shape} --samples {self.samples} --repetitions {self.repetitions} --seed {self.seed}"
        columns = ("mode", "seconds (median)", "against the first", "prompt tokens cached")
        rows = ((row.mode, f"{row.seconds:.2f}", f"{row.speedup:.1f}x", f"{row.cached_share:.0%}") for row in self.rows)
        return report(
            f"python -m benchmarks reflect {inputs}",
            self.machine,
            f"{self.samples} samples, {ROUNDS} rounds of {TOKENS} tokens;"
            f" {threads_text(self.threads)} for every engine.",
            table(columns, rows),
        )

    def charts(self) -> tuple[Chart, ...]:
        names = tuple(row.mode for row in self.rows)
        return (Chart("Reflection", "times as fast as the first", names, {"": tuple(r.speedup for r in self.rows)}),)


def measure_reflect(
    *, shape: str, samples: int, repetitions: int, seed: int, partial: Partial = ignore_partial
) -> ReflectReport:
    """Measure all modes, each repetition in a process of its own. ConfigError, and what starting a provider raises."""
    calls = reflector_calls(samples, seed, rounds=ROUNDS, tokens=TOKENS)
    with TemporaryDirectory(prefix="ace-bench-") as scratch:
        folder = build_shape(shape, Path(scratch))
        folders: dict[Tier, Path] = {"main": folder}
        threads, machine = threads_of(shape, weight_bytes(folder)), Machine.here()
        rows: list[ReflectRow] = []
        for mode in MODES:
            played = [isolated(play_mode, mode, calls, folders, threads) for _ in range(repetitions)]
            seconds = statistics.median(one.seconds for one in played)
            usage = played[-1].usage
            cached = usage.cached_tokens / usage.prompt_tokens
            rows.append(ReflectRow(mode.name, seconds, rows[0].seconds / seconds if rows else 1.0, cached))
            partial(ReflectReport(tuple(rows), shape, samples, repetitions, seed, threads, machine))
        return ReflectReport(tuple(rows), shape, samples, repetitions, seed, threads, machine)
