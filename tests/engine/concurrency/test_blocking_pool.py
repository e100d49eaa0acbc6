"""Blocking calls of a task in worker threads."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterator

import pytest

from ace._util.machine import available_cores
from ace.config import MicroSettings, TaskSettings
from ace.engine.concurrency.blocking_pool import BlockingPool
from ace.tasks import load_task


@pytest.fixture
def one_core() -> Iterator[None]:
    """Bind this thread, and those that it starts, to one core."""
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("no affinity on this system")
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)


@pytest.mark.usefixtures("one_core")
def test_the_pool_has_one_thread_for_each_core_that_the_process_may_use() -> None:
    lock = threading.Lock()
    running = most = 0

    def block() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.01)
        with lock:
            running -= 1

    async def run_all() -> None:
        pool = BlockingPool(load_task(TaskSettings(name="micro", micro=MicroSettings())))
        try:
            await asyncio.gather(*(pool.run(block) for _ in range(8)))
        finally:
            pool.close()

    asyncio.run(run_all())
    assert available_cores() == 1
    assert most == 1
