"""`ace plan` against runs: what it expects of an adaptation from a small pilot, and what the adaptation then takes."""

from __future__ import annotations

import asyncio
import os
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ace.bench.adaptation_runs.micro_settings import greedy, micro_run
from ace.bench.hardware.isolated_process import isolated
from ace.bench.hardware.measured_machine import Machine
from ace.bench.markdown_tables import report, table
from ace.bench.planning.calibration import calibrate
from ace.bench.planning.engine_speed import EngineSpeed
from ace.bench.planning.pilot import Pilot
from ace.bench.planning.run_plan import RunPlan, plan_run, replay_run
from ace.bench.report import Report
from ace.config import RunSettings, settings_from
from ace.engine import RunSummary, run
from ace.errors import ConfigError
from ace.inference import Backend, open_backends
from ace.store import RunStore

PILOT = 28
"""Samples of the pilot, in batches of 4, 8 and 16 (`batch_size: auto`)."""
CASES = ((64, 4), (64, 16), (64, 64), (120, 32))
"""Samples, and samples of a batch, of the runs that are planned."""
REAL_PILOT = 12
REAL_CASES = ((24, 6), (32, 32), (48, 16))
"""The same for a model in a folder, on the task `routing`."""


@dataclass(frozen=True, slots=True)
class PlanRow:
    """A run: what was planned, what came, and what the engine's model makes of the calls that came."""

    samples: int
    batch: int
    planned_s: float
    measured_s: float
    replayed_s: float
    engine_s: float
    planned_tokens: int
    measured_tokens: int

    @property
    def time_error(self) -> float:
        """Relative error of the planned time."""
        return self.planned_s / self.measured_s - 1

    @property
    def engine_error(self) -> float:
        """Relative error of the engine's seconds, worked out from the calls that came."""
        return self.replayed_s / self.engine_s - 1

    @property
    def token_error(self) -> float:
        """Relative error of the planned tokens, of prompts and answers."""
        return self.planned_tokens / self.measured_tokens - 1


@dataclass(frozen=True, slots=True)
class PlanReport(Report):
    """The runs in order, with the median over the repetitions. `load` is the machine's load average before."""

    rows: tuple[PlanRow, ...]
    model: str | None
    pilot: int
    repetitions: int
    seed: int
    load: float
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
                f"{row.engine_error:+.0%}",
            )
            for row in self.rows
        )
        columns = ("samples", "batch", "planned s", "measured s", "error", "planned tokens", "measured tokens", "error")
        model = "" if self.model is None else f" --model {self.model}"
        cases = "".join(f" --case {row.samples}x{row.batch}" for row in self.rows)
        task = "the micro world" if self.model is None else f"`routing` (easy) with {self.model}"
        return report(
            f"python -m benchmarks plan{model}{cases} --repetitions {self.repetitions} --seed {self.seed}",
            self.machine,
            f"Adaptation on {task} with vLLM; a pilot of {self.pilot} samples (`batch_size: auto`) on another world."
            f" The engine is calibrated before each run. Medians over {self.repetitions} worlds; load average of the"
            f" machine before: {self.load:.1f}. Last column: the engine's seconds, simulated from the calls that came,"
            " against those measured.",
            table((*columns, "engine alone"), rows),
        )


def read_cases(words: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """`64x16` and the like as numbers. ConfigError for anything else."""
    cases = []
    for word in words:
        if (match := re.fullmatch(r"(\d+)x(\d+)", word)) is None:
            raise ConfigError.at("--case", word, "SAMPLESxBATCH, such as 64x16")
        cases.append((int(match[1]), int(match[2])))
    return tuple(cases)


def measure_plan(
    *,
    repetitions: int = 3,
    seed: int = 0,
    model: str | None = None,
    cases: Sequence[tuple[int, int]] | None = None,
) -> PlanReport:
    """Plan and measure each case on `repetitions` worlds, in a process of its own.

    `model` is a folder of a real model, which works on the task `routing`; None is the micro model on its own.
    """
    load = os.getloadavg()[0]
    chosen = cases or (CASES if model is None else REAL_CASES)
    rows = isolated(_measure, model, tuple(chosen), repetitions, seed)
    pilot = PILOT if model is None else REAL_PILOT
    name = None if model is None else Path(model).name
    return PlanReport(tuple(rows), name, pilot, repetitions, seed, load, Machine.here())


def _measure(model: str | None, cases: Sequence[tuple[int, int]], repetitions: int, seed: int) -> list[PlanRow]:
    return asyncio.run(_measure_all(model, cases, repetitions, seed))


async def _measure_all(
    model: str | None, cases: Sequence[tuple[int, int]], repetitions: int, seed: int
) -> list[PlanRow]:
    with TemporaryDirectory(prefix="ace-plan-") as folder:
        measurement = _Measurement(Path(folder), model)
        settings = measurement.settings(PILOT if model is None else REAL_PILOT, "auto", world=seed + 1000)
        async with open_backends(settings) as backends:
            await measurement.speed(backends["main"])  # warm-up
            pilot = _read(settings, await run(settings, backends=backends))
            rows = []
            for samples, batch in cases:
                measured = [
                    await measurement.case(backends, pilot, samples, batch, seed + number)
                    for number in range(repetitions)
                ]
                rows.append(_median(samples, batch, measured))
            return rows


@dataclass(frozen=True, slots=True)
class _Case:
    planned: RunPlan
    measured: RunSummary
    replayed_s: float


@dataclass(frozen=True, slots=True)
class _Measurement:
    """Runs of one model, with their stores in `folder`."""

    folder: Path
    model: str | None

    async def case(self, backends: Mapping[str, Backend], pilot: Pilot, samples: int, batch: int, world: int) -> _Case:
        """Calibrate, plan, run."""
        settings = self.settings(samples, batch, world=world)
        speed = await self.speed(backends["main"])
        planned = plan_run(settings, pilot, speed, samples)
        measured = await run(settings, backends=backends)
        return _Case(planned, measured, replay_run(_read(settings, measured), speed))

    async def speed(self, engine: Backend) -> EngineSpeed:
        """The engine's speed now."""
        model = self.settings(1, 1, world=0).models["main"]
        return (await calibrate(engine, model, repetitions=1)).speed(slots=model.max_concurrency)

    def settings(self, samples: int, batch: int | str, *, world: int) -> RunSettings:
        """A run without evaluations, so that all its calls are the adaptation's."""
        store = self.folder / f"{world}-{samples}-{batch}.db"
        shared: dict[str, Any] = {
            "name": "plan",
            "evaluation": {"before": False, "after": False},
            "adaptation": {"batch_size": batch, "validate_each_epoch": False},
        }
        if self.model is None:
            return micro_run(
                store,
                {"seed": world, "train": samples, "validation": 0, "test": 1},
                models={"main": {"provider": "vllm", "model": "micro-target", "max_model_len": 2048, "warm": False}},
                roles=greedy(),
                **shared,
            )
        shared["adaptation"]["max_rounds"] = 1
        return settings_from(
            {
                "store": f"sqlite:///{store}",
                "cache": "none",
                "task": {"name": "routing", "routing": {"seed": world, "train": samples, "validation": 0, "test": 5}},
                "models": {"main": {"provider": "vllm", "model": self.model, "warm": False}},
                "roles": greedy((64, 96, 96)),
                **shared,
            }
        )


def _read(settings: RunSettings, summary: RunSummary) -> Pilot:
    with RunStore.open(settings.store) as store:
        return Pilot.of(store, summary.run)


def _median(samples: int, batch: int, cases: Sequence[_Case]) -> PlanRow:
    return PlanRow(
        samples,
        batch,
        planned_s=statistics.median(case.planned.adapt_s for case in cases),
        measured_s=statistics.median(case.measured.adapt_s for case in cases),
        replayed_s=statistics.median(case.replayed_s for case in cases),
        engine_s=statistics.median(case.measured.engine_s or 0.0 for case in cases),
        planned_tokens=round(statistics.median(_planned_tokens(case.planned) for case in cases)),
        measured_tokens=round(statistics.median(_tokens(case.measured) for case in cases)),
    )


def _planned_tokens(planned: RunPlan) -> int:
    return sum(planned.prompt_tokens.values()) + sum(planned.answer_tokens.values())


def _tokens(summary: RunSummary) -> int:
    return sum(tokens.prompt + tokens.completion for tokens in summary.tokens.values())
