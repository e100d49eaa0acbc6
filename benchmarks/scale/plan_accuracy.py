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
from ace.bench.planning.scheduler_simulation import simulate_engines
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
REAL_CASES = ((12, 4), (16, 16))
"""The same for a model in a folder, on the task `routing`."""

TEST = 12
"""Questions of the evaluation after the pilot, which says how many answers are wrong at its end."""


@dataclass(frozen=True, slots=True)
class PlanRow:
    """A run in processor seconds: planned, measured, and worked out from the calls that came."""

    samples: int
    batch: int
    planned_s: float
    measured_s: float
    replayed_s: float
    wall_s: float
    planned_tokens: int
    measured_tokens: int

    @property
    def time_error(self) -> float:
        """Relative error of the planned time."""
        return self.planned_s / self.measured_s - 1

    @property
    def replay_error(self) -> float:
        """Relative error of the time of the calls that came: it has no share of guessing them."""
        return self.replayed_s / self.measured_s - 1

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
                f"{row.replay_error:+.0%}",
                f"{row.wall_s:.1f}",
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
            " Seconds are processor seconds of the process, in calibrations, plans and runs alike, because others used"
            f" the machine (load average before: {self.load:.1f}); the last column has wall-clock ones. The engine is"
            " calibrated before each run. The fastest of all calibrations counts at each point, and of"
            f" {self.repetitions} runs. Its calls simulated: those that came and the pilot's time outside the engine.",
            table((*columns, "its calls simulated", "wall-clock s"), rows),
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
            pilot_summary, pilot_cpu_s = await _timed_run(settings, backends)
            measured = []
            for number, (samples, batch) in enumerate(cases):
                chosen = measurement.settings(samples, batch, world=seed + number)
                runs = []
                for _ in range(repetitions):
                    speeds.append(await measurement.speed(backends["main"]))
                    runs.append(await _timed_run(chosen, backends))
                    print(f"{samples} samples, batch {batch}: {runs[-1][1]:.1f} s", file=sys.stderr, flush=True)
                measured.append((chosen, *min(runs, key=lambda one: one[1])))
            speed = _fastest(speeds)
            pilot = _with_outside(_read(settings, pilot_summary), pilot_cpu_s, speed)
            rows = [_row(chosen, summary, cpu_s, pilot, speed) for chosen, summary, cpu_s in measured]
            return rows, simulate_curves(settings, pilot, speed, cases)


async def _timed_run(settings: RunSettings, backends: Mapping[str, Backend]) -> tuple[RunSummary, float]:
    """A run, and the processor seconds of this process in it."""
    began = time.process_time()
    summary = await run(settings, backends=backends)
    return summary, time.process_time() - began


def _with_outside(pilot: Pilot, cpu_s: float, speed: EngineSpeed) -> Pilot:
    """The pilot with what it took outside the engine in processor seconds, which its store does not have."""
    evaluated = [chain for _, chains in pilot.evaluations for chain in chains]
    engine_s = replay_run(pilot, speed) + simulate_engines(speed, evaluated).seconds
    outside_s = max(0.0, cpu_s - engine_s) * pilot.calls / (pilot.calls + len(evaluated))
    return replace(pilot, outside_s=outside_s)


@dataclass(frozen=True, slots=True)
class _Measurement:
    """Runs of one model, with their stores in `folder`."""

    folder: Path
    model: str | None

    async def speed(self, engine: Backend) -> EngineSpeed:
        """The engine's speed now, measured up to the largest batch of the cases."""
        repetitions, most = (2, 128) if self.model is None else (1, 16)
        return (await calibrate(engine, repetitions=repetitions, most=most, clock=time.process_time)).speed()

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
    came = _read(settings, summary)
    return PlanRow(
        samples,
        batch,
        planned_s=planned.adapt_s,
        measured_s=cpu_s,
        replayed_s=replay_run(came, speed) + pilot.outside(len(came.batches), came.calls),
        wall_s=summary.adapt_s,
        planned_tokens=sum(planned.prompt_tokens.values()) + sum(planned.answer_tokens.values()),
        measured_tokens=sum(tokens.prompt + tokens.completion for tokens in summary.tokens.values()),
    )


def _fastest(speeds: Sequence[EngineSpeed]) -> EngineSpeed:
    """Each point where it was fastest: what else runs on the machine makes it slower."""
    decoding = [min(points) for points in zip(*(speed.decoding for speed in speeds), strict=True)]
    prefill = [min(points, key=lambda point: point[1]) for points in zip(*(s.prefill for s in speeds), strict=True)]
    request_s = min(speed.request_s for speed in speeds)
    return replace(speeds[0], decoding=tuple(decoding), prefill=tuple(prefill), request_s=request_s)
