"""What every provider offers, and nothing more."""

from __future__ import annotations

from collections.abc import Iterable
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
    """What an engine of ours has done since it started: steps, and the wall-clock seconds that they took, with
    those that it took to take requests in.

    `kv_peak_bytes` is the most of the KV cache that running requests ever held at once. Of two readings the difference
    is what lies between them, but for the peak, which a later reading has had at some time: that stays the later one's.
    """

    steps: int = 0
    step_s: float = 0.0
    kv_peak_bytes: int = 0

    def __add__(self, other: EngineMeter) -> EngineMeter:
        peak = max(self.kv_peak_bytes, other.kv_peak_bytes)
        return EngineMeter(self.steps + other.steps, self.step_s + other.step_s, peak)

    @classmethod
    def task_group(cls, meters: Iterable[EngineMeter]) -> EngineMeter:
        """Of engines that step at the same time. Their seconds are those of the busiest: at least so long one of them
        was stepping.
        """
        every = tuple(meters)
        return cls(
            sum(meter.steps for meter in every),
            max((meter.step_s for meter in every), default=0.0),
            sum(meter.kv_peak_bytes for meter in every),
        )

    def __sub__(self, other: EngineMeter) -> EngineMeter:
        return EngineMeter(self.steps - other.steps, self.step_s - other.step_s, self.kv_peak_bytes)


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
    """A backend whose engine is ours and is measured."""

    def meter(self) -> EngineMeter:
        """The engine's meter, now. Callable from any thread."""


def metered(backends: Iterable[Backend]) -> EngineMeter | None:
    """What the engines behind `backends` have done by now, each counted once; None where one of them is not measured.

    vLLM's engines of a process step in turn, so their seconds add up; those of transformers may overlap.
    """
    total = EngineMeter()
    for backend in {id(backend): backend for backend in backends}.values():
        if not isinstance(backend, MeteredBackend):
            return None
        total += backend.meter()
    return total
