"""A backend that is asked one request at a time, as a loop of HTTP calls does."""

from __future__ import annotations

import asyncio

from ace.inference import Backend, BackendInfo
from ace.types import Completion, Request


class OneByOne:
    """Whoever asks waits until those before are answered."""

    def __init__(self, backend: Backend, lock: asyncio.Lock | None = None) -> None:
        self._backend = backend
        self._lock = lock or asyncio.Lock()

    @property
    def info(self) -> BackendInfo:
        return self._backend.info

    async def complete(self, request: Request) -> Completion:
        async with self._lock:
            return await self._backend.complete(request)

    def count_tokens(self, text: str) -> int:
        return self._backend.count_tokens(text)

    async def close(self) -> None:
        await self._backend.close()
