"""Commits of batches in a thread, while the samples of the next batch are in flight."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Self

from ace.engine.context import RunContext
from ace.engine.loop.batch import BatchResult

_YIELDS_BEFORE_COMMIT = 4
"""Event-loop iterations to yield, so that the next batch's first requests are submitted before the thread starts."""


class CommitQueue:
    """The commits of one epoch, in order and one at a time.

    A commit that has started is awaited, whatever ends the epoch. A commit that fails ends the epoch with the store's
    error, which takes precedence over other errors.
    """

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._last: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        last = self._last
        if last is not None and not last.cancelled() and (failure := last.exception()):
            raise failure

    def start(self, result: BatchResult, group: asyncio.TaskGroup) -> None:
        """Start the commit of a batch, and emit its event when it is on disk. The previous commit must be done.

        The task belongs to `group`: a commit that fails ends the group at once, and the group waits for one in flight.
        """
        self._last = group.create_task(self._commit(result))
        self._context.calls.hold(self._last)

    async def wait(self) -> None:
        """Wait until the last batch is on disk. Raises the error of its commit."""
        if self._last is not None:
            await asyncio.shield(self._last)

    async def _commit(self, result: BatchResult) -> None:
        """Yield, then commit. Cancelled before its first step it writes nothing; later it only skips the yields."""
        with contextlib.suppress(asyncio.CancelledError):
            for _ in range(_YIELDS_BEFORE_COMMIT):
                await asyncio.sleep(0)
        await self._context.blocking_pool.commit(self._context.store.commit_batch, result.record)
        self._context.listener(result.event)
