"""Base of backends around another backend."""

from __future__ import annotations

from ace.inference.backend import Backend, BackendInfo, EngineMeter
from ace.inference.balancer import EndpointFigures
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

    @property
    def endpoint_figures(self) -> tuple[EndpointFigures, ...]:
        """The figures of the endpoints behind it; none where there is one endpoint, or an engine."""
        figures: tuple[EndpointFigures, ...] = getattr(self._inner, "endpoint_figures", ())
        return figures

    async def close(self) -> None:
        await self._inner.close()
