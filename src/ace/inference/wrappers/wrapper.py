"""Base of backends around another backend."""

from __future__ import annotations

from ace.inference.backend import Backend, BackendInfo, EngineMeter
from ace.types import Completion, Request


class WrapperBackend:
    """Forward everything to `inner`, and close it. To be subclassed."""

    def __init__(self, inner: Backend) -> None:
        self._inner = inner

    @property
    def info(self) -> BackendInfo:
        return self._inner.info

    async def complete(self, request: Request) -> Completion:
        return await self._inner.complete(request)

    def count_tokens(self, text: str) -> int:
        return self._inner.count_tokens(text)

    def meter(self) -> EngineMeter | None:
        """None: otherwise an engine would count once for each wrapper before it."""
        return None

    async def close(self) -> None:
        await self._inner.close()
