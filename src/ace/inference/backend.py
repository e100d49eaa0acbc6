"""What every provider offers, and nothing more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ace.types import Completion, Request


@dataclass(frozen=True, slots=True)
class BackendInfo:
    """A live backend. `max_model_len` is in tokens, None where unknown; `start_s` is what starting it took, in seconds.

    `structured_outputs` says whether a request's schema guides the answer; `reason` says why this provider was chosen.
    `memory_bytes` is what weights and KV cache of an engine in this process take, on each of its devices.
    """

    provider: str
    model: str
    device: str
    max_model_len: int | None
    structured_outputs: bool
    start_s: float
    reason: str = ""
    memory_bytes: int | None = None
    adapter: str | None = None
    """The folder of the LoRA adapter that answers, on top of `model`."""

    @property
    def name(self) -> str:
        """What a call is recorded under: the model, with its adapter where it has one."""
        return self.model if self.adapter is None else f"{self.model}+{self.adapter}"


@dataclass(frozen=True, slots=True)
class EngineMeter:
    """What an engine in this process has done since it started: steps, and the wall-clock seconds that they took.

    Of two readings the difference is what lies between them.
    """

    steps: int = 0
    step_s: float = 0.0

    def __add__(self, other: EngineMeter) -> EngineMeter:
        return EngineMeter(self.steps + other.steps, self.step_s + other.step_s)

    def __sub__(self, other: EngineMeter) -> EngineMeter:
        return EngineMeter(self.steps - other.steps, self.step_s - other.step_s)


class Backend(Protocol):
    """A live engine or endpoint. It raises errors of `ace.errors` alone."""

    @property
    def info(self) -> BackendInfo:
        """What this is."""

    async def complete(self, request: Request) -> Completion:
        """Answer one request. Many may be under way at once; cancelling the call gives the request up."""

    def count_tokens(self, text: str) -> int:
        """How many tokens `text` is, by the model's own tokenizer where there is one."""

    async def close(self) -> None:
        """Free everything: memory, threads, processes, connections. Closing twice does nothing."""


@runtime_checkable
class MeteredBackend(Protocol):
    """A backend whose engine runs in this process and is measured."""

    def meter(self) -> EngineMeter:
        """The engine's meter, now. Callable from any thread."""
