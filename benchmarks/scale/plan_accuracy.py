"""`ace plan` against runs: what it expects of an adaptation from a small pilot, and what the adaptation then takes."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from ace.bench.adaptation_runs.micro_prompts import generator_prompts
from ace.bench.adaptation_runs.micro_settings import greedy, micro_run
from ace.bench.hardware.isolated_process import isolated
from ace.bench.hardware.measured_machine import Machine
from ace.bench.markdown_tables import report, table
from ace.bench.planning.engine_speed import EngineSpeed
from ace.bench.planning.run_plan import RunPlan, plan_run
from ace.bench.planning.workload import Workload
from ace.bench.report import Report
from ace.config import RunSettings
from ace.engine import RunSummary, run
from ace.inference import Backend, open_backends
from ace.store import RunStore
from ace.types import Request, Sampling

PILOT = (24, 8)
CASES = ((64, 4), (64, 16), (64, 64), (120, 32))
"""Samples, and samples of a batch: of the pilot, and of the runs that are planned by it."""
PROBES = 16
"""Requests that the engine's speed is measured with."""
TOKENS = 32


@dataclass(frozen=True, slots=True)
class PlanRow:
    """A run: what was planned, and what came."""

    samples: int
    batch: int
    planned_s: float
    measured_s: float
    planned_tokens: int
    measured_tokens: int

    @property
    def time_error(self) -> float:
        """Relative error of the planned time."""
        return self.planned_s / self.measured_s - 1

    @property
    def token_error(self) -> float:
        """Relative error of the planned tokens, of prompts and answers."""
        return self.planned_tokens / self.measured_tokens - 1


@dataclass(frozen=True, slots=True)
class PlanReport(Report):
    """The runs in order, with the median over the repetitions."""

    rows: tuple[PlanRow, ...]
    repetitions: int
    seed: int
    machine: Machine

    def to_markdown(self) -> str:
        """One row for each run."""
        rows = (
            (
                str(row.samples),
                str(row.batch),
                f"{row.planned_s:.2f}",
                f"{row.measured_s:.2f}",
                f"{row.time_error:+.0%}",
                str(row.planned_tokens),
                str(row.measured_tokens),
                f"{row.token_error:+.0%}",
            )
            for row in self.rows
        )
        columns = ("samples", "batch", "planned s", "measured s", "error", "planned tokens", "measured tokens", "error")
        return report(
            f"python -m benchmarks plan --repetitions {self.repetitions} --seed {self.seed}",
            self.machine,
            f"Adaptation on the micro world with vLLM; a pilot of {PILOT[0]} samples in batches of {PILOT[1]} on"
            f" another world. The engine's speed is measured before each run. Medians over {self.repetitions} worlds.",
            table(columns, rows),
        )


def measure_plan(*, repetitions: int = 3, seed: int = 0) -> PlanReport:
    """Plan and measure each case on `repetitions` worlds, in a process of its own."""
    rows = isolated(_measure, repetitions, seed)
    return PlanReport(tuple(rows), repetitions, seed, Machine.here())


def _measure(repetitions: int, seed: int) -> list[PlanRow]:
    return asyncio.run(_measure_all(repetitions, seed))


async def _measure_all(repetitions: int, seed: int) -> list[PlanRow]:
    with TemporaryDirectory(prefix="ace-plan-") as folder:
        settings = _settings(Path(folder), *PILOT, world=seed + 1000)
        async with open_backends(settings) as backends:
            engine = backends["main"]
            await _speed(engine)  # warm-up
            pilot = await run(settings, backends=backends)
            with RunStore.open(settings.store) as store:
                workload = Workload.of(store, pilot.run)
            rows = []
            for samples, batch in CASES:
                measured = [
                    await _case(Path(folder), backends, workload, samples, batch, seed + number)
                    for number in range(repetitions)
                ]
                rows.append(_median(samples, batch, measured))
            return rows


async def _case(
    folder: Path, backends: Mapping[str, Backend], workload: Workload, samples: int, batch: int, world: int
) -> tuple[RunPlan, RunSummary]:
    settings = _settings(folder, samples, batch, world=world)
    planned = plan_run(settings, workload, await _speed(backends["main"]), samples)
    return planned, await run(settings, backends=backends)


def _median(samples: int, batch: int, measured: Sequence[tuple[RunPlan, RunSummary]]) -> PlanRow:
    return PlanRow(
        samples,
        batch,
        planned_s=statistics.median(planned.adapt_s for planned, _ in measured),
        measured_s=statistics.median(summary.adapt_s for _, summary in measured),
        planned_tokens=round(statistics.median(_planned_tokens(planned) for planned, _ in measured)),
        measured_tokens=round(statistics.median(_tokens(summary) for _, summary in measured)),
    )


def _planned_tokens(planned: RunPlan) -> int:
    return sum(planned.prompt_tokens.values()) + sum(planned.answer_tokens.values())


def _tokens(summary: RunSummary) -> int:
    return sum(tokens.prompt + tokens.completion for tokens in summary.tokens.values())


async def _speed(engine: Backend) -> EngineSpeed:
    """The engine's speed now, with answers of one length."""
    sampling = Sampling(max_tokens=TOKENS, temperature=0.0, top_p=1.0, ignore_eos=True)
    requests = [Request(messages, sampling) for messages in generator_prompts(PROBES, 0)]
    await engine.complete(requests[0])
    started = time.perf_counter()
    for request in requests[:4]:
        await engine.complete(request)
    alone_s = (time.perf_counter() - started) / 4 / TOKENS
    started = time.perf_counter()
    await asyncio.gather(*map(engine.complete, requests))
    together_s = (time.perf_counter() - started) / TOKENS
    return EngineSpeed.fitted(alone_s, together_s, PROBES, source="measured before the run")


def _settings(folder: Path, samples: int, batch: int, *, world: int) -> RunSettings:
    """A run without evaluations, so that all its calls are the adaptation's."""
    return micro_run(
        folder / f"{world}-{samples}-{batch}.db",
        {"seed": world, "train": samples, "validation": 0, "test": 1},
        name="plan",
        models={"main": {"provider": "vllm", "model": "micro-target", "max_model_len": 2048, "warm": False}},
        roles=greedy(),
        adaptation={"batch_size": batch, "validate_each_epoch": False},
        evaluation={"before": False, "after": False},
    )
