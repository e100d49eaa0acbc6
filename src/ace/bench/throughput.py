"""The same generator calls through transformers and through vLLM, one by one and all at once.

Every mode gets the same prompts (questions of one micro world behind a complete playbook), the same greedy sampling,
the same limit of new tokens and no schema; each engine runs with the settings that ace gives it. What cannot be made
equal: near-ties may be decided differently, so answers may differ in length by a few tokens - tokens are counted.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ace.bench.adaptation_runs.micro_prompts import generator_prompts
from ace.bench.hardware.measured_machine import Machine
from ace.bench.markdown_tables import report, table
from ace.bench.report import Report
from ace.config import ModelSettings, Provider
from ace.inference import Backend, create_backend
from ace.types import Request, Sampling

PROVIDERS: tuple[Provider, ...] = ("huggingface", "vllm")


@dataclass(frozen=True, slots=True)
class ThroughputRow:
    """One mode. `seconds` is the median over the repetitions; `speedup` is against the first row."""

    mode: str
    seconds: float
    completion_tokens: int
    cached_share: float
    speedup: float

    @property
    def tokens_per_s(self) -> float:
        """Generated tokens a second."""
        return self.completion_tokens / self.seconds


@dataclass(frozen=True, slots=True)
class ThroughputReport(Report):
    """All modes, slowest baseline first, with what they were measured on."""

    rows: tuple[ThroughputRow, ...]
    requests: int
    repetitions: int
    seed: int
    machine: Machine

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "rows": [{**asdict(row), "tokens_per_s": row.tokens_per_s} for row in self.rows]}

    def to_markdown(self) -> str:
        """A table with the command's inputs and the machine above it."""
        command = f"ace bench throughput --requests {self.requests} --repetitions {self.repetitions} --seed {self.seed}"
        columns = ("mode", "seconds (median)", "tokens/s", "prompt tokens cached", "against transformers, one by one")
        rows = (
            (r.mode, f"{r.seconds:.2f}", f"{r.tokens_per_s:.0f}", f"{r.cached_share:.0%}", f"{r.speedup:.1f}x")
            for r in self.rows
        )
        return report(command, self.machine, table(columns, rows))


def measure_throughput(*, requests: int, repetitions: int, seed: int, model: str = "micro-target") -> ThroughputReport:
    """Measure all modes, one engine after the other in this process. Raises what starting a provider raises."""
    prompts = _requests(requests, seed)
    rows: list[ThroughputRow] = []
    for provider in PROVIDERS:
        backend = create_backend(ModelSettings(provider=provider, model=model, max_model_len=2048))
        rows += asyncio.run(_measure(backend, prompts, repetitions))
    base = rows[0].seconds
    rows = [ThroughputRow(r.mode, r.seconds, r.completion_tokens, r.cached_share, base / r.seconds) for r in rows]
    return ThroughputReport(tuple(rows), requests, repetitions, seed, Machine.here())


async def _measure(backend: Backend, requests: Sequence[Request], repetitions: int) -> list[ThroughputRow]:
    try:
        await _all_at_once(backend, requests[:4])  # warm-up: kernels, grammar and prefix cache
        rows = []
        for name, run in (("one by one", _one_by_one), ("all at once", _all_at_once)):
            measured = [await run(backend, requests) for _ in range(repetitions)]
            seconds = statistics.median(m[0] for m in measured)
            _, tokens, cached = measured[-1]
            rows.append(ThroughputRow(f"{backend.info.provider}, {name}", seconds, tokens, cached, 1.0))
        return rows
    finally:
        await backend.close()


async def _one_by_one(backend: Backend, requests: Sequence[Request]) -> tuple[float, int, float]:
    started = time.perf_counter()
    usages = [(await backend.complete(request)).usage for request in requests]
    return _totals(time.perf_counter() - started, usages)


async def _all_at_once(backend: Backend, requests: Sequence[Request]) -> tuple[float, int, float]:
    started = time.perf_counter()
    completions = await asyncio.gather(*(backend.complete(request) for request in requests))
    return _totals(time.perf_counter() - started, [completion.usage for completion in completions])


def _totals(seconds: float, usages: Sequence[Any]) -> tuple[float, int, float]:
    prompt = sum(usage.prompt_tokens for usage in usages)
    return seconds, sum(u.completion_tokens for u in usages), sum(u.cached_tokens for u in usages) / prompt


def _requests(count: int, seed: int) -> list[Request]:
    sampling = Sampling(max_tokens=96, temperature=0.0, top_p=1.0)
    return [Request(messages, sampling) for messages in generator_prompts(count, seed)]
