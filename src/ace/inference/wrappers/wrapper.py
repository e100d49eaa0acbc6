"""A backend that stands before another one: what a wrapper does not change is the other's."""

from __future__ import annotations

from ace.inference.backend import Backend, BackendInfo
from ace.types import Completion, Request


class WrapperBackend:
    """Hands everything on to `inner`, and closes it. To be subclassed.

    It has no meter: what reads meters would count an engine once for each wrapper that stands before it.
    """

    def __init__(self, inner: Backend) -> None:
        self._inner = inner

    @property
    def info(self) -> BackendInfo:
        return self._inner.info

    async def complete(self, request: Request) -> Completion:
        return await self._inner.complete(request)

    def count_tokens(self, text: str) -> int:
        return self._inner.count_tokens(text)

    async def close(self) -> None:
        await self._inner.close()
