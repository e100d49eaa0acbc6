"""The actor of one replica: an engine in a process of its own, somewhere on the cluster."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass

from ace._util.machine import available_cores
from ace.config import ModelSettings
from ace.errors import AceError, EngineDeadError, InferenceError
from ace.inference.backend import Backend, BackendInfo, EngineMeter
from ace.inference.provider_choice import installed, on_cpu
from ace.inference.providers.provider_loader import load_engine
from ace.types import Completion, Request

LoadEngine = Callable[[ModelSettings, float, str], Backend]
"""Starts a replica's engine with its part of the device's memory; the text says why there is one."""


def load_vllm(settings: ModelSettings, share: float, reason: str) -> Backend:
    """The engine of a replica. Errors are those of `load_engine`."""
    return load_engine(settings, "vllm", reason, share=share)


@dataclass(frozen=True, slots=True)
class ReplicaUp:
    """A replica whose engine is up. `ace` is its version of ace, `process` changes when it was started again."""

    info: BackendInfo
    node: str
    process: int
    ace: str | None


@dataclass(frozen=True, slots=True)
class Answered:
    """A completion, and the engine's meter after it."""

    completion: Completion
    meter: EngineMeter | None


class EngineActor:
    """The methods of the actor. Our errors are returned: what is raised here is the actor's own loss.

    Ray calls the constructor again in another process, perhaps on another node, where the first one died.
    """

    def __init__(self, settings: ModelSettings, load: LoadEngine, share: float | None) -> None:
        part = share if share is not None else self._share_of_cores(settings)
        self._backend: Backend | AceError
        try:
            self._backend = load(settings, part, f"asked for, on node {platform.node()}")
        except AceError as error:
            self._backend = error

    async def up(self) -> ReplicaUp | AceError:
        """The engine, or what kept it from starting."""
        if isinstance(self._backend, AceError):
            return self._backend
        return ReplicaUp(self._backend.info, platform.node(), os.getpid(), installed("ace-vllm"))

    async def complete(self, request: Request) -> Answered | AceError:
        """Answer one request. A cancelled one is taken out of the engine."""
        if isinstance(self._backend, AceError):
            return EngineDeadError(self._backend.message)
        try:
            return Answered(await self._backend.complete(request), self._backend.meter())
        except AceError as error:
            return error
        except Exception as error:
            return InferenceError(f"the engine failed: {type(error).__name__}: {error}")

    async def count_tokens(self, text: str) -> int | AceError:
        """Tokens of `text`, by the model's own tokenizer."""
        if isinstance(self._backend, AceError):
            return self._backend
        try:
            return self._backend.count_tokens(text)
        except AceError as error:
            return error

    async def close(self) -> None:
        """Free the engine, with the processes that it may have."""
        if not isinstance(self._backend, AceError):
            await self._backend.close()

    @staticmethod
    def _share_of_cores(settings: ModelSettings) -> float:
        """On a CPU, the part of the memory that goes with the threads of this process."""
        threads = os.environ.get("OMP_NUM_THREADS", "")
        if not on_cpu() or not threads.isdecimal():
            return 1.0
        return min(1.0, int(threads) / available_cores())
