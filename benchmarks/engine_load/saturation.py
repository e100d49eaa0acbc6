"""Saturation: a run's tokens a second against the engine's own on the same requests.

Every call of a run's adaptation is recorded and then thrown at a fresh engine all at once: no batch waits for another
there, and no answer for the one before it. Of both, generated tokens count. What cannot be made equal: near-ties may be
decided differently, so that answers differ in length by a few tokens; each side is measured by its own.

Random weights of a larger shape write nothing that can be read, so that only the generator is asked: their run shows
what share of the time is ours where a step takes longer.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from ace.bench.adaptation_runs.micro_settings import greedy, micro_run
from ace.bench.adaptation_runs.request_recorder import RequestRecorder
from ace.bench.hardware.isolated_process import isolated
from ace.bench.hardware.measured_machine import Machine
from ace.bench.hardware.model_shapes import build_shape
from ace.bench.markdown_tables import report, table
from ace.bench.report import Partial, Report, ignore_partial
from ace.config import ModelSettings, RunSettings
from ace.engine import run
from ace.inference import create_backend
from ace.types import Request

MODEL = "micro-target"
PIPELINES: tuple[Literal[0, 1], ...] = (0, 1)


@dataclass(frozen=True, slots=True)
class Pass:
    """The same calls in one way. `steps` and `step_s` are the engine's, `seconds` those of the clock."""

    seconds: float
    completion_tokens: int
    steps: int
    step_s: float

    @property
    def tokens_per_s(self) -> float:
        """Generated tokens a second."""
        return self.completion_tokens / self.seconds

    @property
    def outside_engine(self) -> float:
        """Share of the seconds in which the engine was not stepping."""
        return max(0.0, 1.0 - self.step_s / self.seconds)


@dataclass(frozen=True, slots=True)
class SaturationRow:
    """One setting of `adaptation.pipeline`: the medians of its repetitions, in the run and all at once."""

    pipeline: int
    calls: float
    run: Pass
    at_once: Pass
    utilization: float


@dataclass(frozen=True, slots=True)
class SaturationReport(Report):
    """All settings, with what they were measured on."""

    rows: tuple[SaturationRow, ...]
    samples: int
    batch: int
    repetitions: int
    seed: int
    shape: str | None
    machine: Machine

    def to_markdown(self) -> str:
        """A table with the command's inputs and the machine above it."""
        inputs = f"--samples {self.samples} --batch {self.batch} --repetitions {self.repetitions} --seed {self.seed}"
        inputs += f" --shape {self.shape}" if self.shape else ""
        columns = (
            "pipeline",
            "calls",
            "run: s, tokens/s",
            "run: steps, ms a step",
            "outside the engine",
            "all at once: s, tokens/s",
            "all at once: steps, ms a step",
            "utilization",
        )
        rows = (
            (
                str(row.pipeline),
                f"{row.calls:.0f}",
                _speed(row.run),
                _steps(row.run),
                f"{row.run.outside_engine:.1%}",
                _speed(row.at_once),
                _steps(row.at_once),
                f"{row.utilization:.0%}",
            )
            for row in self.rows
        )
        return report(f"python -m benchmarks saturation {inputs}", self.machine, table(columns, rows))


def measure_saturation(
    *,
    samples: int,
    batch: int,
    repetitions: int,
    seed: int,
    shape: str | None = None,
    partial: Partial = ignore_partial,
) -> SaturationReport:
    """Measure each setting, each repetition with a world of its own.

    With the micro model, or with random weights of `shape`. ConfigError for a shape that is none, and what starting an
    engine raises.
    """
    rows: list[SaturationRow] = []
    with TemporaryDirectory(prefix="ace-bench-") as folder:
        model = _model(shape, Path(folder))
        for pipeline in PIPELINES:
            recorded = isolated(_run_all, model, pipeline, samples, batch, repetitions, seed)
            at_once = isolated(_replay_all, model, [requests for _, requests in recorded])
            rows.append(
                saturation_row(pipeline, recorded[1:], at_once[1:])
            )  # the first is a warm-up: kernels and grammars
            partial(SaturationReport(tuple(rows), samples, batch, repetitions, seed, shape, Machine.here()))
    return SaturationReport(tuple(rows), samples, batch, repetitions, seed, shape, Machine.here())


def _model(shape: str | None, folder: Path) -> ModelSettings:
    if shape is None:
        return ModelSettings(provider="vllm", model=MODEL, max_model_len=2048)
    return ModelSettings(
        provider="vllm",
        model=str(build_shape(shape, folder)),
        max_model_len=2048,
        engine_args={"load_format": "dummy"},
        timeout_s=3600.0,  # of a large model without a GPU
    )


def _start(model: ModelSettings) -> RequestRecorder:
    return RequestRecorder(create_backend(model))


def _run_all(
    model: ModelSettings, pipeline: Literal[0, 1], samples: int, batch: int, repetitions: int, seed: int
) -> list[tuple[Pass, list[Request]]]:
    """A warm-up and the repetitions: what each adaptation took, and what it asked."""

    async def work() -> list[tuple[Pass, list[Request]]]:
        backend = _start(model)
        try:
            worlds = [seed + 500_000, *range(seed, seed + repetitions)]
            return [await run_once(backend, pipeline, samples, batch, world) for world in worlds]
        finally:
            await backend.close()

    return asyncio.run(work())


async def run_once(
    backend: RequestRecorder, pipeline: Literal[0, 1], samples: int, batch: int, world: int
) -> tuple[Pass, list[Request]]:
    """A run of one world, and the requests that it made."""
    with TemporaryDirectory(prefix="ace-bench-") as folder:
        settings = _settings(Path(folder) / "ace.db", pipeline, samples, batch, world)
        summary = await run(settings, backends={"main": backend}, listener=backend.hear)
    spent = backend.meter() - backend.before
    return Pass(summary.adapt_s, backend.tokens, spent.steps, spent.step_s), backend.requests


def _replay_all(model: ModelSettings, recorded: Sequence[Sequence[Request]]) -> list[Pass]:
    """Each recording thrown at the engine at once. It has seen none of them: each is of a world of its own."""

    async def work() -> list[Pass]:
        backend = _start(model)
        try:
            return [await complete_at_once(backend, requests) for requests in recorded]
        finally:
            await backend.close()

    return asyncio.run(work())


async def complete_at_once(backend: RequestRecorder, requests: Sequence[Request]) -> Pass:
    """Answer all requests at the same time."""
    before, started = backend.meter(), time.perf_counter()
    answers = await asyncio.gather(*(backend.complete(request) for request in requests))
    seconds, spent = time.perf_counter() - started, backend.meter() - before
    return Pass(seconds, sum(answer.usage.completion_tokens for answer in answers), spent.steps, spent.step_s)


def saturation_row(
    pipeline: int, recorded: Sequence[tuple[Pass, list[Request]]], at_once: Sequence[Pass]
) -> SaturationRow:
    """The medians over the repetitions of one setting."""
    runs = [one for one, _ in recorded]
    return SaturationRow(
        pipeline=pipeline,
        calls=statistics.mean(len(requests) for _, requests in recorded),
        run=_median(runs),
        at_once=_median(at_once),
        utilization=statistics.median(
            one.tokens_per_s / most.tokens_per_s for one, most in zip(runs, at_once, strict=True)
        ),
    )


def _median(passes: Sequence[Pass]) -> Pass:
    """The pass of median speed: its numbers belong together."""
    return sorted(passes, key=lambda one: one.tokens_per_s)[len(passes) // 2]


def _settings(store: Path, pipeline: int, samples: int, batch: int, world: int) -> RunSettings:
    return micro_run(
        store,
        {"seed": world, "terms": 16, "modifiers": 8, "train": samples, "validation": 0, "test": 0},
        models={"main": {"provider": "vllm", "model": MODEL}},
        roles=greedy(),
        adaptation={"batch_size": batch, "pipeline": pipeline},
        evaluation={"before": False, "after": False},
    )


def _speed(one: Pass) -> str:
    return f"{one.seconds:.2f}, {one.tokens_per_s:.0f}"


def _steps(one: Pass) -> str:
    return f"{one.steps}, {one.step_s / one.steps * 1000:.2f}" if one.steps else "0"
