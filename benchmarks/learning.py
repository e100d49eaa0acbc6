"""Learning with real models: scores before and after a run, by task, models, method and seed.

The engines are started once and work on all runs, one after the other. The runs stay in a store.
"""

from __future__ import annotations

import asyncio
import math
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast, get_args

from ace.bench.hardware.measured_machine import Machine
from ace.bench.markdown_tables import report, table
from ace.bench.report import Partial, Report, ignore_partial
from ace.config import ModelSettings, RunSettings, load_settings, settings_from
from ace.engine import run
from ace.errors import AceError, ConfigError, InterruptedRunError
from ace.experiments.comparison import paired
from ace.experiments.outcomes import evaluated
from ace.inference import Backend, create_backend
from ace.store import RunStore
from ace.types import ROLES

Models = Literal["small", "large", "both"]
"""The model of every role; with `both`, the small one generates, and the large one reflects and curates."""
_BASELINE = {"reflect_together": 1, "curation": "model", "max_rounds": 1}
"""What ACE's own settings become for another method, which has neither; `rewrite` reflects on each sample once."""


@dataclass(frozen=True, slots=True)
class LearningRow:
    """One run. Scores are means in [0, 1]; `low` and `high` bound the difference (95%, paired bootstrap).

    A right answer scores 1 and a wrong one 0; one to `finer` scores the share of its tags that are right.
    `calls` are those that a model answered, `cached` those that the completion cache did. `unreadable` counts calls
    whose answer could not be parsed. `failures` says why samples or calls failed, and `error` why a run has no figures.
    """

    task: str
    models: Models
    method: str
    seed: int
    run: str = ""
    samples: int = 0
    before: float = 0.0
    after: float = 0.0
    low: float = 0.0
    high: float = 0.0
    bullets: int = 0
    calls: int = 0
    cached: int = 0
    unreadable: int = 0
    seconds: float = 0.0
    failures: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class LearningReport(Report):
    """All runs in order, the command that made them, and the machine."""

    command: str
    rows: tuple[LearningRow, ...]
    folders: Mapping[str, str]
    machine: Machine

    def to_markdown(self) -> str:
        columns = ("task", "models", "method", "seed", "samples", "score before", "after", "difference, points (95%)")
        lines = [
            (row.task, row.models, row.method, str(row.seed), str(row.samples), *_scores(row), *_counts(row))
            for row in self.rows
        ]
        calls, unreadable = sum(row.calls for row in self.rows), sum(row.unreadable for row in self.rows)
        names = "; ".join(f"{key}: {Path(folder).name}" for key, folder in self.folders.items())
        return report(
            self.command,
            self.machine,
            f"{names}. {unreadable} of {calls} answers could not be read.",
            table((*columns, "bullets", "calls", "from cache", "unreadable", "seconds"), lines),
            *self._failures(),
        )

    def _failures(self) -> Iterator[str]:
        for row in self.rows:
            for failure in row.failures:
                yield f"{row.task}, {row.models}, {row.method}, seed {row.seed}: {failure}"


def _scores(row: LearningRow) -> tuple[str, ...]:
    if row.error:
        return (row.error, "-", "-")
    difference = f"{100 * (row.after - row.before):+.1f} ({100 * row.low:+.1f} to {100 * row.high:+.1f})"
    return (f"{100 * row.before:.1f}%", f"{100 * row.after:.1f}%", difference)


def _counts(row: LearningRow) -> tuple[str, ...]:
    return (str(row.bullets), str(row.calls), str(row.cached), str(row.unreadable), f"{row.seconds:.1f}")


@dataclass(frozen=True, slots=True)
class Cell:
    """One run to make. Its models are named as the engines are: `small` and `large`."""

    config: Path
    models: Models
    method: str
    seed: int

    @property
    def main(self) -> str:
        """The name of the generator's engine."""
        return "large" if self.models == "large" else "small"

    def settings(self, engines: Mapping[str, ModelSettings], store: str, changes: Sequence[str]) -> RunSettings:
        """The config with this cell's models, method and seed. ConfigError as `load_settings`."""
        values = load_settings(self.config, changes).model_dump(mode="json", exclude_unset=True)
        values |= {"seed": self.seed, "store": store, "name": f"{values['task']['name']}-{self.models}-{self.method}"}
        values["models"] = {name: engines[name].model_dump(exclude_unset=True) for name in self._names}
        task = values["task"]
        seeded = task.setdefault("routing" if task["name"] == "routing" else "split", {})
        seeded["seed"] = self.seed
        for role in ROLES:
            values["roles"][role]["model"] = self.main if role == "generator" else self._names[-1]
        if self.method != "ace":
            values["adaptation"] |= {**_BASELINE, "method": self.method}
        return settings_from(values)

    @property
    def _names(self) -> tuple[str, ...]:
        return ("small", "large") if self.models == "both" else (self.main,)


def cells(
    configs: Sequence[Path], models: Sequence[Models], methods: Sequence[str], seeds: Sequence[int]
) -> Iterator[Cell]:
    """Every combination: all tasks and models with the first method and seed come first."""
    for method in methods:
        for seed in seeds:
            for config in configs:
                yield from (Cell(config, kind, method, seed) for kind in models)


def measure_learning(
    *,
    configs: Sequence[Path],
    folders: Mapping[str, str],
    models: Sequence[str] = ("large",),
    methods: Sequence[str] = ("ace",),
    seeds: Sequence[int] = (0, 1, 2),
    store: str = "sqlite:///ace.db",
    engine: Sequence[str] = (),
    changes: Sequence[str] = (),
    limit_s: float = math.inf,
    partial: Partial = ignore_partial,
) -> LearningReport:
    """Make the runs with models whose `folders` are named `small` and `large`.

    `engine` are settings of both models (`max_model_len=6144`), `changes` those of each run. No run is begun after
    `limit_s` seconds, and one that fails is a row with its error. ConfigError for a config that does not fit, before an
    engine is started.
    """
    written = [f"models.{name}.{change}" for name in folders for change in ("provider=auto", *engine)]
    written += [f"models.{name}.model={folder}" for name, folder in folders.items()]
    models_of = load_settings(configs[0], written).models
    engines = {name: models_of[name] for name in folders}
    kinds = [_kind(name, folders) for name in models]
    planned = [(cell, cell.settings(engines, store, changes)) for cell in cells(configs, kinds, methods, seeds)]
    options = {
        "config": configs,
        **{name: [Path(folder).name] for name, folder in folders.items()},
        "models": models,
        "method": methods,
        "seed": seeds,
        "engine": engine,
        "set": changes,
    }
    words = [word for name, values in options.items() for value in values for word in (f"--{name}", str(value))]
    command = shlex.join(["python", "-m", "benchmarks", "learning", *words])
    return asyncio.run(_measure(planned, engines, command, limit_s, partial))


def _kind(name: str, folders: Mapping[str, str]) -> Models:
    """The models that `name` means. ConfigError for another name, and for one whose folder is not given."""
    for kind in get_args(Models):
        if name == kind and set(("small", "large") if kind == "both" else (kind,)) <= folders.keys():
            return cast(Models, kind)
    allowed = [*folders, "both"] if len(folders) == 2 else list(folders)
    raise ConfigError.at("models", name, ", ".join(allowed), hint="give the folders with --small and --large")


async def _measure(
    planned: Sequence[tuple[Cell, RunSettings]],
    engines: Mapping[str, ModelSettings],
    command: str,
    limit_s: float,
    partial: Partial,
) -> LearningReport:
    machine, began = Machine.here(), time.perf_counter()
    folders = {name: settings.model for name, settings in engines.items()}
    rows: list[LearningRow] = []
    live: dict[str, Backend] = {}
    try:
        for cell, settings in planned:
            if time.perf_counter() - began > limit_s:
                break
            for name in settings.engines_used:
                if name not in live:
                    live[name] = create_backend(engines[name], share=1 / len(engines))
            rows.append(await _learn(cell, settings, live))
            partial(LearningReport(command, tuple(rows), folders, machine))
    finally:
        for backend in live.values():
            await backend.close()
    return LearningReport(command, tuple(rows), folders, machine)


async def _learn(cell: Cell, settings: RunSettings, engines: Mapping[str, Backend]) -> LearningRow:
    row = LearningRow(settings.task.name, cell.models, cell.method, cell.seed)
    try:
        summary = await run(settings, backends=engines)
    except InterruptedRunError:
        raise
    except AceError as error:
        return replace(row, error=error.message)
    with RunStore.open(settings.store) as store:
        before, after = (evaluated(store, summary.run, label) for label in ("before", "after"))
    test = paired(before, after, "score", seed=0)
    return replace(
        row,
        run=summary.run,
        samples=test.n,
        before=test.mean_a,
        after=test.mean_b,
        low=test.interval.low,
        high=test.interval.high,
        bullets=summary.playbook_bullets,
        calls=sum(summary.calls.values()),
        cached=summary.cache_hits,
        unreadable=summary.parse_failures,
        seconds=summary.wall_s,
        failures=tuple(f"{failure.count} times {failure.error}" for failure in summary.failures),
    )
