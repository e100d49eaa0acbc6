"""Worker threads for blocking calls of a task: programs, steps in an environment, commits."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from ace._util.machine import available_cores
from ace.tasks import InteractiveTask, Task

T = TypeVar("T")


class BlockingPool:
    """Runs blocking calls in as many threads as there are cores, or environments that may be open at once.

    Threads start when they are first used. Commits have a thread of their own: they keep their order, and wait for no
    program of a task.
    """

    def __init__(self, task: Task) -> None:
        environments = task.worlds if isinstance(task, InteractiveTask) else 1
        self.environments = asyncio.Semaphore(environments)
        self._threads = ThreadPoolExecutor(max(environments, available_cores()), thread_name_prefix="ace-blocking")
        self._commits = ThreadPoolExecutor(1, thread_name_prefix="ace-commit")

    async def run(self, function: Callable[..., T], *arguments: object) -> T:
        """Call `function` in a thread and return its result. Cancelling the caller does not stop it."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)

    async def commit(self, function: Callable[..., None], *arguments: object) -> None:
        """Call `function`, which writes, and wait until it is done, also where the caller is cancelled meanwhile."""
        written = asyncio.get_running_loop().run_in_executor(self._commits, function, *arguments)
        while not written.done():
            with contextlib.suppress(asyncio.CancelledError):  # whether the write reaches the disk is not known yet
                await asyncio.wait([written])
        written.result()

    def close(self) -> None:
        """Accept no more calls, and wait for those that run."""
        self._threads.shutdown(cancel_futures=True)
        self._commits.shutdown()
