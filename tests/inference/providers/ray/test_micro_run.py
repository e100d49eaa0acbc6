"""The micro adaptation on two replicas leads to the playbook of one engine, whatever is lost on the way.

The engines are real. A node is a raylet of its own; a node with a cut network is one in a network namespace.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from ray_nodes import TwoHosts

from ace.config import RunSettings, load_settings
from ace.engine import run
from ace.engine.events import BatchCommitted, Event
from ace.store import RunStore

pytestmark = [pytest.mark.ray, pytest.mark.engine, pytest.mark.nightly, pytest.mark.timeout(3000)]

CONFIG = Path(__file__).parents[4] / "configs" / "micro-cpu.yaml"
CUT_S = 10.0


def settings(folder: Path, **main: Any) -> RunSettings:
    """The micro config, small: one epoch, and answers that no batch of others can change."""
    base = load_settings(CONFIG, ["adaptation.epochs=1", "task.micro.train=32", "evaluation.before=false"])
    values = base.model_dump(mode="json") | {"store": f"sqlite:///{folder}/ace.db"}
    values["models"] = {"main": {"model": "micro-target", "max_model_len": 2048, "dtype": "float32", **main}}
    return RunSettings.model_validate(values)


def grow(folder: Path, after_first_batch: Callable[[], None] = lambda: None, **main: Any) -> tuple[str, ...]:
    """The playbook that a run leads to; `after_first_batch` is called beside it."""
    folder.mkdir()
    disturbing: list[threading.Thread] = []

    def listener(event: Event) -> None:
        if isinstance(event, BatchCommitted) and not disturbing:
            disturbing.append(threading.Thread(target=after_first_batch))
            disturbing[0].start()

    chosen = settings(folder, **main)
    summary = asyncio.run(run(chosen, listener=listener))
    assert summary.failed_samples == 0
    disturbing[0].join()
    with RunStore.open(chosen.store, create=False) as store:
        return tuple(bullet.content for bullet in store.playbook(summary.run, summary.playbook_version).bullets)


@pytest.fixture(scope="module")
def one_engine(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    return grow(tmp_path_factory.mktemp("one") / "run", provider="vllm", warm=False)


def pool(cluster: Any) -> dict[str, Any]:
    return {"provider": "ray", "replicas": 2, "ray": {"address": cluster.address}}


def replicas() -> list[psutil.Process]:
    return [process for process in psutil.process_iter() if "ray::EngineActor" in "".join(_cmdline(process))]


def _cmdline(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def test_two_replicas_grow_the_playbook_of_one_engine(
    one_engine: tuple[str, ...], cluster: Any, tmp_path: Path
) -> None:
    assert one_engine and grow(tmp_path / "run", **pool(cluster)) == one_engine


def test_two_runs_that_share_an_engine_grow_the_playbook_of_one(
    one_engine: tuple[str, ...], cluster: Any, tmp_path: Path
) -> None:
    main = {"provider": "ray", "ray": {"address": cluster.address, "shared": True}}
    engines: list[int] = []
    with ThreadPoolExecutor(2) as threads:
        runs = [
            threads.submit(grow, tmp_path / name, lambda: engines.append(len(replicas())), **main)
            for name in ("a", "b")
        ]
        assert [each.result() for each in runs] == [one_engine, one_engine]
    assert engines == [1, 1]


def test_a_killed_replica_changes_nothing(one_engine: tuple[str, ...], cluster: Any, tmp_path: Path) -> None:
    killed: list[int] = []

    def kill() -> None:
        victim = replicas()[0]
        killed.append(victim.pid)
        victim.kill()

    assert grow(tmp_path / "run", kill, **pool(cluster)) == one_engine
    assert len(killed) == 1


def test_a_killed_node_changes_nothing(one_engine: tuple[str, ...], cluster: Any, tmp_path: Path) -> None:
    node = cluster.add_node(num_cpus=2, resources={"doomed": 1})
    survivor = cluster.add_node(num_cpus=2, resources={"doomed": 1})
    main = pool(cluster)
    main["ray"]["resources"] = {"doomed": 1}

    def kill() -> None:
        raylet = node.all_processes["raylet"][0].process
        os.kill(raylet.pid, signal.SIGKILL)

    try:
        assert grow(tmp_path / "run", kill, **main) == one_engine
    finally:
        cluster.remove_node(node, allow_graceful=False)
        cluster.remove_node(survivor)


@pytest.mark.parametrize("heartbeat_timeout_s", [20.0, 4.0], ids=["waited for", "repeated on the other host"])
def test_a_network_that_is_cut_for_ten_seconds_changes_nothing(
    one_engine: tuple[str, ...], two_hosts: TwoHosts, tmp_path: Path, heartbeat_timeout_s: float
) -> None:
    ray = {"address": two_hosts.address, "resources": {"engine": 1}, "heartbeat_timeout_s": heartbeat_timeout_s}
    main = {"provider": "ray", "replicas": 2, "ray": {**ray, "start_timeout_s": 300}}
    assert grow(tmp_path / "run", lambda: two_hosts.cut(CUT_S), **main) == one_engine
