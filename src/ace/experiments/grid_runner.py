"""Running the cells of an experiment: engines are shared, finished cells are found in the store, broken ones go on."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from ace.config import RunSettings
from ace.engine import Listener, RunSummary, run
from ace.engine.run_inputs import RunInputs, load_inputs
from ace.experiments.grid import GridRun
from ace.experiments.reuse import find_completed, find_resumable
from ace.inference import Backends, open_backends
from ace.types import ROLES

Opened = Callable[[GridRun, int], AbstractContextManager[Listener]]
"""A listener for the cell of this number (from 0), open while the cell runs."""


@dataclass(frozen=True, slots=True)
class CompletedGridRun:
    """A finished cell: its run, what the run amounts to (`RunSummary.to_json()`), and whether it was there already."""

    cell: GridRun
    run: str
    summary: RunSummary
    reused: bool


async def run_grid(
    cells: Sequence[GridRun], opened: Opened, *, backends: Backends | None = None
) -> tuple[CompletedGridRun, ...]:
    """Run what is not in the store yet, one cell after the other, cells of the same models on the same engines.

    All cells are checked before the first engine is loaded. Raises what `ace.engine.run` raises; what ended stays.
    """
    prepared = {cell.settings.digest: load_inputs(cell.settings) for cell in cells}
    found: list[CompletedGridRun | None] = [_reused(cell, prepared[cell.settings.digest]) for cell in cells]
    owed = [number for number, known in enumerate(found) if known is None]
    for group in _by_engines(cells, owed):
        async with _engines(cells[group[0]].settings, backends) as live:
            for number in group:
                cell = cells[number]
                known = find_resumable(cell.settings, prepared[cell.settings.digest])
                with opened(cell, number) as listener:
                    summary = await run(cell.settings, listener=listener, resume=known, backends=live)
                found[number] = CompletedGridRun(cell, summary.run, summary, reused=False)
    return tuple(known for known in found if known is not None)


def _by_engines(cells: Sequence[GridRun], numbers: Sequence[int]) -> list[list[int]]:
    """The cells grouped by the engines that they need, in order of their first."""
    groups: dict[str, list[int]] = {}
    for number in numbers:
        groups.setdefault(_engine_key(cells[number].settings), []).append(number)
    return list(groups.values())


def _engine_key(settings: RunSettings) -> str:
    models = {role: settings.models[settings.roles.of(role).model].model_dump(mode="json") for role in ROLES}
    larger = {name: settings.models[name].model_dump(mode="json") for name in settings.models_escalated}
    return json.dumps([models, larger], sort_keys=True)


@contextlib.asynccontextmanager
async def _engines(settings: RunSettings, given: Backends | None) -> AsyncIterator[Backends]:
    async with contextlib.nullcontext(given) if given is not None else open_backends(settings) as backends:
        yield backends


def _reused(cell: GridRun, parts: RunInputs) -> CompletedGridRun | None:
    run = find_completed(cell.settings, parts)
    if run is None or run.summary is None:
        return None
    return CompletedGridRun(cell, run.id, RunSummary.from_json(run.summary), reused=True)
