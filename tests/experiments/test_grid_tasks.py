"""The cells of a grid as tasks on a Ray cluster: the same results as one after the other, also after a loss."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from micro_runs import all_roles, micro_backend, micro_model, settings
from typer.testing import CliRunner

from ace.cli.main import app
from ace.config import RaySettings, RunSettings
from ace.errors import InferenceError
from ace.experiments import CompletedGridRun, grid, leaderboard, run_grid
from ace.experiments.grid_tasks import GridTasks
from ace.inference import Backends, ScriptedBackend
from ace.store import RunStore
from ace.types import Request

pytestmark = pytest.mark.ray

VARIED = {"adaptation.batch_size": (1, 4)}


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """A cluster of this machine, for all tests, whose processes find these tests' modules."""
    import ray

    helpers = Path(__file__).parents[1] / "helpers"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setenv("PYTHONPATH", os.pathsep.join([str(helpers), *filter(None, sys.path)]))
        ray.init(address="local", namespace="ace", num_cpus=2, include_dashboard=False, log_to_driver=False)
        yield
        ray.shutdown()


@asynccontextmanager
async def scripted(settings: RunSettings) -> AsyncIterator[Backends]:
    yield all_roles(micro_backend())


@asynccontextmanager
async def killed_once(settings: RunSettings) -> AsyncIterator[Backends]:
    """Backends whose process is killed at its 20th call, the first time that these settings are run."""
    marker = Path(settings.store.removeprefix("sqlite:///")).parent / f"killed-{settings.adaptation.batch_size}"
    calls = 0

    def answer(request: Request) -> str:
        nonlocal calls
        calls += 1
        if calls == 20 and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return micro_model(request)

    yield all_roles(ScriptedBackend(answer))


@asynccontextmanager
async def failing(settings: RunSettings) -> AsyncIterator[Backends]:
    if settings.adaptation.batch_size == 1:
        raise InferenceError("no engine for this one")
    yield all_roles(micro_backend())


def on_ray(base: RunSettings, opened: Any = scripted, seeds: int = 1) -> tuple[CompletedGridRun, ...]:
    tasks = GridTasks(RaySettings(), at_once=2, opened=opened)
    return asyncio.run(run_grid(grid(base, VARIED, seeds=seeds), elsewhere=tasks.run))


def results(runs: Sequence[CompletedGridRun]) -> list[object]:
    """What the table and the playbooks of `runs` are, without ids and times."""
    rows = [(row.name, row.by_seed, row.calls, row.bullets) for row in leaderboard(runs).rows]
    with RunStore.open(runs[0].cell.settings.store, create=False) as store:
        playbooks = [store.playbook(run.run, run.summary.playbook_version).bullets for run in runs]
    return [rows, [[(bullet.id, bullet.content) for bullet in bullets] for bullets in playbooks]]


def test_results_are_those_of_runs_one_after_the_other(tmp_path: Path) -> None:
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    there = on_ray(settings(tmp_path / "there"), seeds=2)
    cells = grid(settings(tmp_path / "here"), VARIED, seeds=2)
    here = asyncio.run(run_grid(cells, backends=all_roles(micro_backend())))
    assert len(there) == 4 and results(there) == results(here)
    again = on_ray(settings(tmp_path / "there"), seeds=2)
    assert all(run.reused for run in again) and results(again) == results(here)


def test_a_run_whose_process_is_killed_goes_on_in_another(tmp_path: Path) -> None:
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    there = on_ray(settings(tmp_path / "there"), killed_once)
    here = asyncio.run(run_grid(grid(settings(tmp_path / "here"), VARIED), backends=all_roles(micro_backend())))
    assert len(list((tmp_path / "there").glob("killed-*"))) == 2
    assert results(there) == results(here)
    with RunStore.open(there[0].cell.settings.store, create=False) as store:
        assert len(store.list_runs()) == 2, "each was resumed"


def test_a_run_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    base = settings(tmp_path)
    with pytest.raises(InferenceError, match="no engine for this one"):
        on_ray(base, failing)
    done = on_ray(base)
    assert [run.reused for run in done] == [False, True]


@asynccontextmanager
async def dying(settings: RunSettings) -> AsyncIterator[Backends]:
    os.kill(os.getpid(), signal.SIGKILL)
    yield {}


def test_a_run_whose_process_is_lost_again_and_again_is_named(tmp_path: Path) -> None:
    with pytest.raises(InferenceError, match=r"the process of 'batch_size=\d', seed 0, was lost"):
        on_ray(settings(tmp_path), dying)


def test_what_is_no_address_is_refused() -> None:
    result = CliRunner().invoke(app, ["ablate", "configs/micro-cpu.yaml", "--on", "nowhere"])
    assert result.exit_code == 2 and "--on: found 'nowhere', allowed: here, ray, auto" in result.stderr
