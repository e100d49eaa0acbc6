"""Execution of a grid: completed runs are reused, interrupted ones resumed, here or as tasks elsewhere."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from ace.config import RunSettings
from ace.engine import Listener, RunSummary, run
from ace.engine.events import null_listener
from ace.engine.run_inputs import RunInputs, load_inputs
from ace.experiments.grid import GridRun
from ace.experiments.reuse import find_completed, find_resumable
from ace.inference import Backends, open_backends
from ace.types import ROLES

Opened = Callable[[GridRun, int], AbstractContextManager[Listener]]
"""A listener for the run of this number (from 0), open while it runs."""


@dataclass(frozen=True, slots=True)
class CompletedGridRun:
    """A completed run of a grid and its summary. `reused` runs were in the store before."""

    cell: GridRun
    run: str
    summary: RunSummary
    reused: bool


RunElsewhere = Callable[[Mapping[int, GridRun]], AsyncGenerator[tuple[int, RunSummary], None]]
"""Runs the cells of these numbers somewhere else, each by `run_grid`, and yields them as they are done."""


async def run_grid(
    cells: Sequence[GridRun],
    opened: Opened = lambda cell, number: contextlib.nullcontext(null_listener),
    *,
    finished: Callable[[CompletedGridRun, int], None] = lambda done, number: None,
    backends: Backends | None = None,
    elsewhere: RunElsewhere | None = None,
) -> tuple[CompletedGridRun, ...]:
    """Run the cells that the store does not have yet: here one after the other, with one engine for equal models.

    `finished` is called after each run. All cells are checked before the first engine is loaded. Raises what
    `ace.engine.run` raises; completed runs stay.
    """
    prepared = {cell.settings.digest: load_inputs(cell.settings) for cell in cells}
    completed: list[CompletedGridRun | None] = [_reused(cell, prepared[cell.settings.digest]) for cell in cells]
    missing = {number: cell for number, cell in enumerate(cells) if completed[number] is None}
    runs = elsewhere(missing) if elsewhere is not None else _here(missing, prepared, opened, backends)
    async with contextlib.aclosing(runs):
        async for number, summary in runs:
            done = completed[number] = CompletedGridRun(cells[number], summary.run, summary, reused=False)
            finished(done, number)
    return tuple(run_of_cell for run_of_cell in completed if run_of_cell is not None)


async def _here(
    cells: Mapping[int, GridRun], prepared: Mapping[str, RunInputs], opened: Opened, backends: Backends | None
) -> AsyncGenerator[tuple[int, RunSummary], None]:
    for group in _by_engines(cells):
        async with _engines(cells[group[0]].settings, backends) as live:
            for number in group:
                cell = cells[number]
                resumable = find_resumable(cell.settings, prepared[cell.settings.digest])
                with opened(cell, number) as listener:
                    summary = await run(cell.settings, listener=listener, resume=resumable, backends=live)
                yield number, summary


def _by_engines(cells: Mapping[int, GridRun]) -> list[list[int]]:
    """Group the cells by the engines that they need, in the order of each group's first cell."""
    groups: dict[str, list[int]] = {}
    for number, cell in cells.items():
        groups.setdefault(_engine_key(cell.settings), []).append(number)
    return list(groups.values())


def _engine_key(settings: RunSettings) -> str:
    models = {role: settings.models[settings.roles.of(role).model].model_dump(mode="json") for role in ROLES}
    larger = {name: settings.models[name].model_dump(mode="json") for name in settings.models_escalated}
    return json.dumps([models, larger], sort_keys=True)


@contextlib.asynccontextmanager
async def _engines(settings: RunSettings, backends: Backends | None) -> AsyncIterator[Backends]:
    async with contextlib.nullcontext(backends) if backends is not None else open_backends(settings) as live:
        yield live


def _reused(cell: GridRun, inputs: RunInputs) -> CompletedGridRun | None:
    run = find_completed(cell.settings, inputs)
    if run is None or run.summary is None:
        return None
    return CompletedGridRun(cell, run.id, RunSummary.from_json(run.summary), reused=True)
