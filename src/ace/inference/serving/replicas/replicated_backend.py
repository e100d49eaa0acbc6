"""`ReplicatedBackend`: each request goes to the engine that has the fewest."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from ace.errors import EngineDeadError
from ace.inference.backend import Backend, BackendInfo, EngineMeter
from ace.types import Completion, Request


class ReplicatedBackend:
    """Stands for `replicas`, which answer alike.

    Each keeps a prefix cache of its own, so that what requests share is computed once by each.
    """

    def __init__(self, replicas: Sequence[Backend]) -> None:
        self._replicas = tuple(replicas)
        self._alive = list(range(len(replicas)))
        self._under_way = [0] * len(replicas)

    @property
    def info(self) -> BackendInfo:
        """The first one's; starting took as long as the slowest, and memory is what all of them take."""
        every = [replica.info for replica in self._replicas]
        sizes = [info.memory_bytes for info in every if info.memory_bytes is not None]
        return replace(
            every[0],
            start_s=max(info.start_s for info in every),
            memory_bytes=sum(sizes) if len(sizes) == len(every) else None,
            reason=f"{every[0].reason}; {len(every)} engines side by side",
        )

    async def complete(self, request: Request) -> Completion:
        """Like an engine's own. Where one is dead for good the others answer; EngineDeadError with the last of them."""
        while True:
            number = min(self._alive, key=self._under_way.__getitem__)
            self._under_way[number] += 1
            try:
                return await self._replicas[number].complete(request)
            except EngineDeadError:
                if number in self._alive and len(self._alive) > 1:
                    self._alive.remove(number)
                elif number in self._alive:
                    raise
            finally:
                self._under_way[number] -= 1

    def count_tokens(self, text: str) -> int:
        return self._replicas[self._alive[0]].count_tokens(text)

    def meter(self) -> EngineMeter:
        """Combine all replicas, see `EngineMeter.concurrent`."""
        return EngineMeter.concurrent(replica.meter() for replica in self._replicas)

    async def close(self) -> None:
        await asyncio.gather(*(replica.close() for replica in self._replicas))
