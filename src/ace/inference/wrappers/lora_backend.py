"""A LoRA adapter as a backend on the engine of its base model."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ace.inference.backend import Backend, BackendInfo, EngineMeter
from ace.types import Completion, Request


@dataclass(frozen=True, slots=True)
class LoraRequest(Request):
    """A request to answer with the adapter in the folder `adapter`.

    Like the model, the adapter is no part of the digest: it is a matter of whom one asks.
    """

    adapter: str = ""


class LoraBackend:
    """Asks `engine`, which has the adapter loaded and stays its owner's: closing this closes nothing."""

    def __init__(self, engine: Backend, adapter: str) -> None:
        self.engine = engine
        self._adapter = adapter

    @property
    def info(self) -> BackendInfo:
        """The engine's, with the adapter. Start and memory are reported by the engine itself."""
        return replace(self.engine.info, adapter=self._adapter, start_s=0.0, memory_bytes=None)

    async def complete(self, request: Request) -> Completion:
        """Answer with the adapter; the completion names model and adapter."""
        lora_request = LoraRequest(
            request.messages, request.sampling, request.schema, request.layout, adapter=self._adapter
        )
        return replace(await self.engine.complete(lora_request), model=self.info.name)

    def count_tokens(self, text: str) -> int:
        return self.engine.count_tokens(text)

    def meter(self) -> EngineMeter | None:
        """None: the engine's own meter counts these steps, too."""
        return None

    async def close(self) -> None:
        """Nothing: the engine may have others to answer."""


def engine_of(backend: Backend) -> Backend:
    """The engine behind `backend` where that is a view of one, else `backend` itself."""
    return backend.engine if isinstance(backend, LoraBackend) else backend
