"""Fair shares of one engine: who is next where several runs want more of it than there is."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class FairSlots:
    """`size` slots. While all want more than there are, each client has slots in proportion to its weight.

    A slot that becomes free goes to the waiting client with the fewest slots for its weight; the requests of one client
    keep their order.
    """

    def __init__(self, size: float) -> None:
        self._size = size
        self._taken: Counter[str] = Counter()
        self._weights: dict[str, float] = {}
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    @asynccontextmanager
    async def slot(self, client: str, weight: float) -> AsyncIterator[None]:
        """A slot of `client`, from when it is its turn."""
        self._weights[client] = weight
        if self._taken.total() < self._size:
            self._taken[client] += 1
        else:
            await self._wait(client)
        try:
            yield
        finally:
            self._free(client)

    async def _wait(self, client: str) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(client, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # its turn had come
                self._free(client)
            raise

    def _free(self, client: str) -> None:
        self._taken[client] -= 1
        for queue in self._waiting.values():
            while queue and queue[0].done():  # cancelled
                queue.popleft()
        waiting = [name for name, queue in self._waiting.items() if queue]
        if waiting:
            chosen = min(waiting, key=lambda name: self._taken[name] / self._weights[name])
            self._taken[chosen] += 1
            self._waiting[chosen].popleft().set_result(None)
