"""`ace plan` against runs: what it expects of an adaptation from a small pilot, and what the adaptation then takes."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
from ace.bench.planning.run_plan import plan_run, replay_run
from ace.bench.report import Report
from ace.config import RunSettings, settings_from
from ace.engine import RunSummary, run
from ace.errors import ConfigError
from ace.inference import Backend, open_backends
from ace.store import RunStore
from benchmarks.scale.curves import CurvePoint, simulate_curves

PILOT = 28
"""Samples of the pilot, in batches of 4, 8 and 16 (`batch_size: auto`)."""
CASES = ((64, 4), (64, 16), (64, 64), (120, 32))
"""Samples, and samples of a batch, of the runs that are planned."""
REAL_PILOT = 12
REAL_CASES = ((16, 4), (16, 16))
"""The same for a model in a folder, on the task `routing`."""

TEST = 16
"""Questions of the evaluation after the pilot, which says how many answers are wrong at its end."""


@dataclass(frozen=True, slots=True)
class PlanRow:
    """A run: what was planned, what came, and what the engine's model makes of the calls that came."""

    samples: int
    batch: int
    planned_s: float
    measured_s: float
    replayed_s: float
    engine_s: float
    cpu_s: float
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
    """The runs in order, each the fastest of its repetitions, and simulated curves through them.

    `curves` are by what varies along them: samples, batch, engines. `load` is the machine's load average before.
    """

    rows: tuple[PlanRow, ...]
    curves: Mapping[str, tuple[CurvePoint, ...]]
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
            f" The engine is calibrated before each run. The fastest of all calibrations counts at each point, and of"
            f" {self.repetitions} runs, too: other work on the machine makes both slower. Its load average before:"
            f" {self.load:.1f}. Engine alone: its seconds, simulated from the calls that came, against those measured.",
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
    """Plan each case and measure it `repetitions` times, in a process of its own.

    `model` is a folder of a real model, which works on the task `routing`; None is the micro model on its own.
    """
    load = os.getloadavg()[0]
    chosen = cases or (CASES if model is None else REAL_CASES)
    rows, curves = isolated(_measure, model, tuple(chosen), repetitions, seed)
    pilot = PILOT if model is None else REAL_PILOT
    name = None if model is None else Path(model).name
    return PlanReport(tuple(rows), curves, name, pilot, repetitions, seed, load, Machine.here())


Measured = tuple[list[PlanRow], dict[str, tuple[CurvePoint, ...]]]


def _measure(model: str | None, cases: Sequence[tuple[int, int]], repetitions: int, seed: int) -> Measured:
    return asyncio.run(_measure_all(model, cases, repetitions, seed))


async def _measure_all(model: str | None, cases: Sequence[tuple[int, int]], repetitions: int, seed: int) -> Measured:
    with TemporaryDirectory(prefix="ace-plan-") as folder:
        measurement = _Measurement(Path(folder), model)
        settings = measurement.settings(PILOT if model is None else REAL_PILOT, "auto", world=seed + 1000, after=True)
        async with open_backends(settings) as backends:
            speeds = []
            pilot = _read(settings, await run(settings, backends=backends))
            measured = []
            for number, (samples, batch) in enumerate(cases):
                chosen = measurement.settings(samples, batch, world=seed + number)
                runs = []
                for _ in range(repetitions):
                    speeds.append(await measurement.speed(backends["main"]))
                    began = time.process_time()
                    runs.append((await run(chosen, backends=backends), time.process_time() - began))
                    print(f"{samples} samples, batch {batch}: {runs[-1][0].adapt_s:.1f} s", file=sys.stderr, flush=True)
                measured.append((chosen, *min(runs, key=lambda one: one[0].adapt_s)))
            speed = _fastest(speeds)
            rows = [_row(chosen, summary, cpu_s, pilot, speed) for chosen, summary, cpu_s in measured]
            return rows, simulate_curves(settings, pilot, speed, cases)


@dataclass(frozen=True, slots=True)
class _Measurement:
    """Runs of one model, with their stores in `folder`."""

    folder: Path
    model: str | None

    async def speed(self, engine: Backend) -> EngineSpeed:
        """The engine's speed now."""
        return (await calibrate(engine, repetitions=2 if self.model is None else 1)).speed()

    def settings(self, samples: int, batch: int | str, *, world: int, after: bool = False) -> RunSettings:
        """A run that is evaluated only `after` it, if at all."""
        store = self.folder / f"{world}-{samples}-{batch}.db"
        shared: dict[str, Any] = {
            "name": "plan",
            "evaluation": {"before": False, "after": after},
            "adaptation": {"batch_size": batch, "validate_each_epoch": False},
        }
        if self.model is None:
            return micro_run(
                store,
                {"seed": world, "train": samples, "validation": 0, "test": TEST if after else 1},
                models={"main": {"provider": "vllm", "model": "micro-target", "max_model_len": 2048, "warm": False}},
                roles=greedy(),
                **shared,
            )
        shared["adaptation"]["max_rounds"] = 1
        return settings_from(
            {
                "store": f"sqlite:///{store}",
                "cache": "none",
                "task": {
                    "name": "routing",
                    "routing": {"seed": world, "train": samples, "validation": 0, "test": TEST if after else 1},
                },
                "models": {"main": {"provider": "vllm", "model": self.model, "warm": False}},
                "roles": greedy((48, 64, 96)),
                **shared,
            }
        )


def _read(settings: RunSettings, summary: RunSummary) -> Pilot:
    with RunStore.open(settings.store) as store:
        return Pilot.of(store, summary.run)


def _row(settings: RunSettings, summary: RunSummary, cpu_s: float, pilot: Pilot, speed: EngineSpeed) -> PlanRow:
    batch, samples = settings.adaptation.batch_size, summary.samples
    assert isinstance(batch, int)
    planned = plan_run(settings, pilot, speed, samples)
    return PlanRow(
        samples,
        batch,
        planned_s=planned.adapt_s,
        measured_s=summary.adapt_s,
        cpu_s=cpu_s,
        replayed_s=replay_run(_read(settings, summary), speed),
        engine_s=summary.engine_s or 0.0,
        planned_tokens=sum(planned.prompt_tokens.values()) + sum(planned.answer_tokens.values()),
        measured_tokens=sum(tokens.prompt + tokens.completion for tokens in summary.tokens.values()),
    )


def _fastest(speeds: Sequence[EngineSpeed]) -> EngineSpeed:
    """Each point where it was fastest: what else runs on the machine makes it slower."""
    decoding = [min(points) for points in zip(*(speed.decoding for speed in speeds), strict=True)]
    prefill = [min(points, key=lambda point: point[1]) for points in zip(*(s.prefill for s in speeds), strict=True)]
    request_s = min(speed.request_s for speed in speeds)
    return replace(speeds[0], decoding=tuple(decoding), prefill=tuple(prefill), request_s=request_s)
