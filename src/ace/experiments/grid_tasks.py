"""The cells of a grid as tasks on a Ray cluster: each in a process of its own, with its own run in the common store."""

from __future__ import annotations

import asyncio
import os
import platform
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from ace._util.extras import missing_package
from ace._util.install_commands import install_command
from ace.config import RaySettings, RunSettings
from ace.engine import RunSummary
from ace.errors import AceError, ConfigError, InferenceError
from ace.experiments.grid import GridRun
from ace.experiments.grid_runner import run_grid
from ace.inference import Backends, open_backends

OpenBackends = Callable[[RunSettings], AbstractAsyncContextManager[Backends]]
"""Opens the engines of one run."""

TRIES = 4
"""Of a run whose process or node is lost. It goes on where its store ends."""


@dataclass(frozen=True, slots=True)
class GridTasks:
    """Runs cells on the cluster at `ray.address`, `at_once` at a time, each with `gpus` for engines of its own.

    A cell takes a core where its engine is in its own process, and none where a server or provider `ray` answers.
    """

    ray: RaySettings
    at_once: int = 2
    gpus: float = 0.0
    opened: OpenBackends = open_backends

    async def run(self, cells: Mapping[int, GridRun]) -> AsyncGenerator[tuple[int, RunSummary], None]:
        """Yield the number and the summary of each cell when it is done.

        A cell that fails does not stop the others: the first error is raised at the end. ConfigError for a SQLite store
        with nodes on several machines, ProviderMissingError without ray, ProviderStartError without a cluster.
        """
        try:
            import ray
        except ImportError as error:
            command = install_command("ray")
            raise missing_package("runs on a cluster need", "ray", provider="ray", command=command) from error
        from ace.inference.providers.ray import connected

        failure: AceError | None = None
        waiting, running = deque(cells.items()), dict[object, int]()
        with connected(self.ray, self.at_once):
            for cell in cells.values():
                _check_store(cell.settings, {node["NodeManagerHostname"] for node in ray.nodes() if node["Alive"]})
            while waiting or running:
                while waiting and len(running) < self.at_once:
                    number, cell = waiting.popleft()
                    options = {"num_cpus": _cores(cell.settings), "num_gpus": self.gpus, "max_retries": TRIES - 1}
                    task = ray.remote(_run_cell).options(**options)
                    running[task.remote(cell.settings.model_dump_json(), str(Path.cwd()), self.opened)] = number
                (done, *_), _ = await asyncio.to_thread(ray.wait, list(running))
                number = running.pop(done)
                outcome: RunSummary | AceError
                try:
                    outcome = ray.get(done)
                except ray.exceptions.RayError as error:
                    lost = f"the process of {cells[number].row!r}, seed {cells[number].seed}, was lost: {error}"
                    outcome = InferenceError(lost, hint="repeat the command: it goes on from what the store has")
                if isinstance(outcome, AceError):
                    failure = failure or outcome
                else:
                    yield number, outcome
        if failure is not None:
            raise failure


def _run_cell(settings: str, folder: str, opened: OpenBackends) -> RunSummary | AceError:
    """Run one cell in this process. Errors of ours are returned: what is raised is the loss of the process."""
    if Path(folder).is_dir():  # relative paths of the data and of a SQLite store
        os.chdir(folder)
    chosen = RunSettings.model_validate_json(settings)

    async def main() -> RunSummary:
        async with opened(chosen) as backends:
            (done,) = await run_grid([GridRun("", (), chosen.seed, chosen)], backends=backends)
            return done.summary

    try:
        return asyncio.run(main())
    except AceError as error:
        return error


def _cores(settings: RunSettings) -> int:
    return int(any(model.provider not in ("ray", "openai") for model in settings.models.values()))


def _check_store(settings: RunSettings, hosts: set[str]) -> None:
    """ConfigError for a store in a file that some node of the cluster cannot have."""
    if not settings.store.startswith("postgresql") and hosts != {platform.node()}:
        raise ConfigError.at("store", settings.store, f"postgresql://..., with a cluster on {len(hosts)} machines")
