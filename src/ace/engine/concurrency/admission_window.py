"""The admission window: samples in flight, admitted in the order of their requests."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Window:
    """Limits the samples in flight, of one or more batches, in one event loop."""

    def __init__(self) -> None:
        self._taken = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def place(self, width: int) -> AsyncIterator[None]:
        """Take a place, first come first served, as soon as fewer than `width` are taken."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((width, turn))
        self._admit()
        try:
            await turn
            yield
        finally:
            if turn.done() and not turn.cancelled():
                self._taken -= 1
            self._admit()

    def _admit(self) -> None:
        while self._waiting:
            width, turn = self._waiting[0]
            if not turn.cancelled():
                if self._taken >= width:
                    return
                self._taken += 1
                turn.set_result(None)
            self._waiting.popleft()
