"""Bytes of KV cache for the same requests: contiguous, and paged with shared prefixes.

Measured from the engines themselves: the tensors of transformers' cache after one request, and the blocks of vLLM's
pool that running requests hold, shared ones once, at the end of each step. A padded batch is so many rows of the
longest request's length, and a static cache so many whole contexts: both are arithmetic on the measured tensors. What
cannot be made equal: blocks of requests that end in a step are free before they are counted, at most one token a
request too few.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ace.bench.adaptation_runs.micro_prompts import generator_prompts
from ace.bench.hardware.engine_threads import set_engine_threads, threads_of
from ace.bench.hardware.isolated_process import isolated
from ace.bench.hardware.measured_machine import Machine
from ace.bench.hardware.model_shapes import build_shape, weight_bytes
from ace.bench.markdown_tables import report, table
from ace.bench.report import Chart, Partial, Report, ignore_partial
from ace.config import ModelSettings, Provider
from ace.inference import create_backend
from ace.types import Request, Sampling

CONTEXT = 2048
"""Tokens that a static cache reserves for each request."""


@dataclass(frozen=True, slots=True)
class KvUsage:
    """KV cache of one batch: the peak, and the longest request, prompt and answer, in tokens."""

    requests: int
    kv_bytes: int
    longest: int


@dataclass(frozen=True, slots=True)
class MemoryRow:
    """One layout: bytes for the batch, and how many such requests the budget holds at once."""

    layout: str
    kv_bytes: int
    fits: int


@dataclass(frozen=True, slots=True)
class MemoryReport(Report):
    """Static, contiguous and paged, with what they were measured on. `budget` is in bytes."""

    rows: tuple[MemoryRow, ...]
    shape: str
    requests: int
    tokens: int
    budget: int
    seed: int
    machine: Machine

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "context": CONTEXT}

    def to_markdown(self) -> str:
        """A table with the command's inputs and the machine above it; savings against contiguous."""
        mib = self.budget >> 20
        inputs = f"--shape {self.shape} --requests {self.requests} --tokens {self.tokens} --budget-mib {mib}"
        columns = ("KV cache", f"MiB for {self.requests} requests", "against contiguous", f"requests in {mib} MiB")
        base = next((row.kv_bytes for row in self.rows if row.layout == CONTIGUOUS), 0)
        rows = (
            (
                row.layout,
                f"{row.kv_bytes / (1 << 20):.1f}",
                f"{row.kv_bytes / base - 1:+.0%}" if base else "",
                str(row.fits),
            )
            for row in self.rows
        )
        text = "The last column goes on from a full and a half batch in a straight line; it was not tried."
        return report(f"ace bench memory {inputs} --seed {self.seed}", self.machine, table(columns, rows), text)

    def charts(self) -> tuple[Chart, ...]:
        names = tuple(row.layout for row in self.rows)
        return (Chart("KV cache", "MiB", names, {"": tuple(row.kv_bytes / (1 << 20) for row in self.rows)}),)


STATIC = f"static, {CONTEXT} tokens a request"
CONTIGUOUS = "contiguous, padded (transformers)"
PAGED = "paged, prefix shared (vLLM)"


def measure_memory(
    *, shape: str, requests: int, tokens: int, budget_mib: int, seed: int, partial: Partial = ignore_partial
) -> MemoryReport:
    """Measure one row of transformers, then a full and a half batch of vLLM, each in a process of its own.

    Raises what starting an engine does.
    """
    budget = budget_mib << 20
    with TemporaryDirectory(prefix="ace-bench-") as scratch:
        folder = build_shape(shape, Path(scratch))
        threads, machine = threads_of(shape, weight_bytes(folder)), Machine.here()
        one = isolated(_hold, "huggingface", str(folder), 1, tokens, seed, threads)
        token = one.kv_bytes // (one.longest - 1)  # the last token of an answer is never computed on
        rows = [_rows_of(STATIC, token * CONTEXT, requests, budget)]
        partial(MemoryReport(tuple(rows), shape, requests, tokens, budget, seed, machine))
        paged, half = (
            isolated(_hold, "vllm", str(folder), count, tokens, seed, threads) for count in (requests, requests // 2)
        )
        rows.append(_rows_of(CONTIGUOUS, token * paged.longest, requests, budget))
        rows.append(MemoryRow(PAGED, paged.kv_bytes, fitting(budget, paged, half)))
        return MemoryReport(tuple(rows), shape, requests, tokens, budget, seed, machine)


def _rows_of(layout: str, row: int, requests: int, budget: int) -> MemoryRow:
    """A layout in which each request has a row of so many bytes."""
    return MemoryRow(layout, row * requests, budget // row)


def fitting(budget: int, whole: KvUsage, half: KvUsage) -> int:
    """Requests whose own blocks fit beside those that they share, by the line through two batches."""
    own = max(1, (whole.kv_bytes - half.kv_bytes) // (whole.requests - half.requests))
    shared = max(0, whole.kv_bytes - own * whole.requests)
    return max(0, (budget - shared) // own)


def _hold(provider: Provider, model: str, requests: int, tokens: int, seed: int, threads: int) -> KvUsage:
    set_engine_threads(threads)
    return asyncio.run(_measure_peak(provider, model, requests, tokens, seed))


async def _measure_peak(provider: Provider, model: str, requests: int, tokens: int, seed: int) -> KvUsage:
    sampling = Sampling(tokens, temperature=0.0, top_p=1.0, ignore_eos=True)
    settings = ModelSettings(
        provider=provider,
        model=model,
        max_model_len=CONTEXT,
        max_concurrency=max(64, requests),
        engine_args={"load_format": "dummy"},
        timeout_s=3600.0,
    )
    backend = create_backend(settings)
    try:
        requests_to_send = (Request(messages, sampling) for messages in generator_prompts(requests, seed))
        answered = await asyncio.gather(*(backend.complete(request) for request in requests_to_send))
        meter = backend.meter()
        assert meter is not None  # both providers measure their engine
        longest = max(each.usage.prompt_tokens + each.usage.completion_tokens for each in answered)
        return KvUsage(requests, meter.kv_peak_bytes, longest)
    finally:
        await backend.close()
