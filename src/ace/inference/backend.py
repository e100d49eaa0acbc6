"""The protocol of all providers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

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
        """The name under which calls are recorded: the model, with its adapter where it has one."""
        return self.model if self.adapter is None else f"{self.model}+{self.adapter}"


@dataclass(frozen=True, slots=True)
class EngineMeter:
    """Steps of an engine since it started, and their wall-clock seconds, including those that admit requests.

    `kv_peak_bytes` is the most KV cache that running requests used at once. Subtraction gives the totals of the
    interval between two readings and keeps the later reading's `kv_peak_bytes`.
    """

    steps: int = 0
    step_s: float = 0.0
    kv_peak_bytes: int = 0

    def __add__(self, other: EngineMeter) -> EngineMeter:
        peak = max(self.kv_peak_bytes, other.kv_peak_bytes)
        return EngineMeter(self.steps + other.steps, self.step_s + other.step_s, peak)

    def __sub__(self, other: EngineMeter) -> EngineMeter:
        return EngineMeter(self.steps - other.steps, self.step_s - other.step_s, self.kv_peak_bytes)

    @classmethod
    def total(cls, meters: Iterable[EngineMeter | None]) -> EngineMeter | None:
        """Add up meters of different engines. None where one of the engines is not measured.

        vLLM's engines of a process step in turn, so their seconds add up; those of transformers may overlap.
        """
        total = cls()
        for meter in meters:
            if meter is None:
                return None
            total += meter
        return total

    @classmethod
    def concurrent(cls, meters: Iterable[EngineMeter | None]) -> EngineMeter:
        """Combine engines that step at the same time, without those that are not measured.

        The seconds are those of the busiest engine: a lower bound of the time in which any engine was stepping.
        """
        measured = [meter for meter in meters if meter is not None]
        return cls(
            sum(meter.steps for meter in measured),
            max((meter.step_s for meter in measured), default=0.0),
            sum(meter.kv_peak_bytes for meter in measured),
        )


class Backend(Protocol):
    """A live engine or endpoint. It raises errors of `ace.errors` alone."""

    @property
    def info(self) -> BackendInfo:
        """Provider, model and limits of this backend."""

    async def complete(self, request: Request) -> Completion:
        """Answer one request. Many may be under way at once; cancelling the call gives the request up."""

    def count_tokens(self, text: str) -> int:
        """Count the tokens of `text`, by the model's own tokenizer where there is one."""

    def meter(self) -> EngineMeter | None:
        """Read the engine's meter, from any thread. None where the engine is not measured here."""

    async def close(self) -> None:
        """Free everything: memory, threads, processes, connections. Closing twice does nothing."""
