"""The window of samples that are under way: it admits them in the order in which they asked."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Window:
    """Places for samples of one or more batches. For one event loop."""

    def __init__(self) -> None:
        self._taken = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def place(self, width: int) -> AsyncIterator[None]:
        """Hold a place from the moment that fewer than `width` are taken and nobody else has waited longer."""
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
