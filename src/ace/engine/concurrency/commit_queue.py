"""Batches on their way to the disk: committed in a thread, while the samples of the next one already work."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Self

from ace.engine.context import RunContext
from ace.engine.loop.batch import BatchResult

_TURNS = 4
"""Of the loop, until the next batch's first requests are with their engine. The thread would slow them down."""


class CommitQueue:
    """The commits of one epoch, in order and one at a time.

    One that has begun is waited for, whatever ends the epoch. One that fails ends it with the store's own error,
    whatever else was about to.
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

    def begin(self, concluded: BatchResult, group: asyncio.TaskGroup) -> None:
        """Commit a batch and tell the listener when it is on disk. The one before it must have arrived.

        The task is one of `group`: a commit that fails ends the group at once, and the group waits for one under way.
        """
        self._last = group.create_task(self._commit(concluded))
        self._context.calls.hold(self._last)

    async def arrived(self) -> None:
        """Wait until the last batch is on disk. Raises what its commit raised."""
        if self._last is not None:
            await asyncio.shield(self._last)

    async def _commit(self, concluded: BatchResult) -> None:
        """Cancelled before its first turn it writes nothing; from then on it goes to the end, the sooner."""
        with contextlib.suppress(asyncio.CancelledError):
            for _ in range(_TURNS):
                await asyncio.sleep(0)
        await self._context.blocking_pool.commit(self._context.store.commit_batch, concluded.record)
        self._context.listener(concluded.told)
