"""Work that blocks - running code, a step in a world - done in threads, so that the loop goes on meanwhile."""

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
    """As many threads as there are processors, or worlds that may be open at once; started when first used.

    CommitQueue have a thread of their own: in order, and behind no program of a task.
    """

    def __init__(self, task: Task) -> None:
        worlds = task.worlds if isinstance(task, InteractiveTask) else 1
        self.worlds = asyncio.Semaphore(worlds)
        self._threads = ThreadPoolExecutor(max(worlds, available_cores()), thread_name_prefix="ace-blocking")
        self._commits = ThreadPoolExecutor(1, thread_name_prefix="ace-commit")

    async def run(self, function: Callable[..., T], *arguments: object) -> T:
        """What `function` returns or raises. A cancelled caller does not stop it."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)

    async def commit(self, function: Callable[..., None], *arguments: object) -> None:
        """Let `function` write, and wait until it has: a caller that is cancelled waits all the same, and goes on.

        Raises what `function` raises.
        """
        written = asyncio.get_running_loop().run_in_executor(self._commits, function, *arguments)
        while not written.done():
            with contextlib.suppress(asyncio.CancelledError):  # nobody knows yet whether it is on disk
                await asyncio.wait([written])
        written.result()

    def close(self) -> None:
        """Take no more work; what runs is waited for."""
        self._threads.shutdown(cancel_futures=True)
        self._commits.shutdown()
