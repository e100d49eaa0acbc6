"""A whole run with scripted engines on two hosts, between which the network is cut: it leads to the same playbook."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
import scripted_engine
from micro_runs import all_roles, micro_backend, settings
from ray_nodes import TwoHosts

from ace.config import ModelSettings, RunSettings
from ace.engine import Listener, RunSummary, run
from ace.engine.events import BatchCommitted, Event, null_listener
from ace.inference import Backend
from ace.store import RunStore

pytestmark = [pytest.mark.ray, pytest.mark.nightly, pytest.mark.timeout(1800)]

CUT_S = 10.0


def grow(folder: Path, backend: Backend, listener: Listener = null_listener) -> list[str]:
    """The playbook that a run with this backend leads to."""
    folder.mkdir()
    chosen = settings(folder, task__micro__terms=8, task__micro__modifiers=6, task__micro__train=24)
    summary = asyncio.run(_run(chosen, backend, listener))
    assert summary.failed_samples == 0
    with RunStore.open(chosen.store, create=False) as store:
        return [bullet.content for bullet in store.playbook(summary.run, summary.playbook_version).bullets]


async def _run(chosen: RunSettings, backend: Backend, listener: Listener) -> RunSummary:
    try:
        return await run(chosen, listener=listener, backends=all_roles(backend))
    finally:
        await backend.close()


@pytest.mark.parametrize("heartbeat_timeout_s", [20.0, 4.0], ids=["waited for", "repeated on the other host"])
def test_a_network_that_is_cut_for_ten_seconds_changes_nothing(
    two_hosts: TwoHosts, tmp_path: Path, heartbeat_timeout_s: float
) -> None:
    from ace.inference.providers.ray import create

    ray = {"address": two_hosts.address, "resources": {"engine": 1}, "heartbeat_timeout_s": heartbeat_timeout_s}
    model = {"provider": "ray", "model": "a model", "replicas": 2, "ray": {**ray, "start_timeout_s": 120}}
    pool = create(ModelSettings.model_validate(model), load=scripted_engine.load_micro)
    cut = threading.Thread(target=two_hosts.cut, args=(CUT_S,))

    def listener(event: Event) -> None:
        if isinstance(event, BatchCommitted) and cut.ident is None:
            cut.start()

    assert grow(tmp_path / "two", pool, listener) == grow(tmp_path / "one", micro_backend())
    cut.join()
