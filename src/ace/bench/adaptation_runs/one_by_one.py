"""A backend with one request in flight at a time, like a loop of HTTP calls."""

from __future__ import annotations

import asyncio

from ace.inference import Backend
from ace.inference.wrappers.wrapper import WrapperBackend
from ace.types import Completion, Request


class SerialBackend(WrapperBackend):
    """Whoever asks waits until those before are answered."""

    def __init__(self, inner: Backend, lock: asyncio.Lock | None = None) -> None:
        super().__init__(inner)
        self._lock = lock or asyncio.Lock()

    async def complete(self, request: Request) -> Completion:
        async with self._lock:
            return await super().complete(request)
