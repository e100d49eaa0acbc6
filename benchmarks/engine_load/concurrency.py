"""One engine at growing concurrency: so many requests at once, with short and long prompts that it has cached.

Says how much a model gains from many samples in a batch on this machine, and what one more sequence or a longer context
costs a step. Prompts begin alike, as those of a run do; the first request of each length fills the prefix cache.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from ace.bench.hardware.engine_threads import set_engine_threads, threads_of
from ace.bench.hardware.isolated_process import isolated
from ace.bench.hardware.measured_machine import Machine
from ace.bench.hardware.model_shapes import build_shape, weight_bytes
from ace.bench.markdown_tables import report, table
from ace.bench.report import Report
from ace.config import ModelSettings
from ace.inference import Backend, create_backend
from ace.types import Message, Request, Sampling

PROMPT_WORDS = (200, 2000)
"""Words of the prefix that all prompts share, a token each or more."""


@dataclass(frozen=True, slots=True)
class ConcurrencyRow:
    """So many requests at once. `seconds` is the median over the repetitions; `prompt_tokens` is a prompt's mean."""

    prefix_words: int
    prompt_tokens: int
    requests: int
    seconds: float
    completion_tokens: int
    cached_share: float

    @property
    def tokens_per_s(self) -> float:
        """Generated tokens a second."""
        return self.completion_tokens / self.seconds


@dataclass(frozen=True, slots=True)
class ConcurrencyReport(Report):
    """All rows, with what they were measured on."""

    rows: tuple[ConcurrencyRow, ...]
    shape: str
    tokens: int
    repetitions: int
    weight_bytes: int
    machine: Machine

    def to_markdown(self) -> str:
        """A table with the command's inputs and the machine above it."""
        columns = ("prompt tokens (cached)", "at once", "s", "ms a token of each", "tokens/s", "against one at a time")
        alone = {row.prefix_words: row.tokens_per_s for row in self.rows if row.requests == 1}
        rows = (
            (
                f"{row.prompt_tokens} ({row.cached_share:.0%})",
                str(row.requests),
                f"{row.seconds:.2f}",
                f"{1e3 * row.seconds / self.tokens:.1f}",
                f"{row.tokens_per_s:.0f}",
                f"{row.tokens_per_s / alone[row.prefix_words]:.1f}x",
            )
            for row in self.rows
        )
        command = f"--shape {self.shape} --tokens {self.tokens} --repetitions {self.repetitions}"
        return report(
            f"python -m benchmarks concurrency {command}",
            self.machine,
            f"Random weights, {self.weight_bytes / 1e9:.2f} GB of them; {self.tokens} tokens an answer.",
            table(columns, rows),
        )


def measure_concurrency(*, shape: str, requests: Sequence[int], tokens: int, repetitions: int) -> ConcurrencyReport:
    """Measure vLLM alone in a process of its own, each length of prompt with one request at a time first.

    `tokens` are generated for each request. ConfigError for an unknown shape; what starting a provider raises.
    """
    with TemporaryDirectory(prefix="ace-bench-") as scratch:
        folder = build_shape(shape, Path(scratch))
        size = weight_bytes(folder)
        settings = ModelSettings(
            provider="vllm",
            model=str(folder),
            max_model_len=8192,
            engine_args={"load_format": "dummy"},
            timeout_s=3600.0,
        )
        counts = sorted({1, *requests})
        rows = isolated(_measure_all, settings, counts, tokens, repetitions, threads_of(shape, size))
        return ConcurrencyReport(tuple(rows), shape, tokens, repetitions, size, Machine.here())


def _measure_all(
    settings: ModelSettings, counts: Sequence[int], tokens: int, repetitions: int, threads: int
) -> list[ConcurrencyRow]:
    set_engine_threads(threads)
    return asyncio.run(_rows(settings, counts, tokens, repetitions))


async def _rows(settings: ModelSettings, counts: Sequence[int], tokens: int, repetitions: int) -> list[ConcurrencyRow]:
    backend = create_backend(settings)
    try:
        rows = []
        for words in PROMPT_WORDS:
            await _row(backend, words, 1, min(4, tokens), 1)  # fills the prefix cache, and warms kernels up
            rows += [await _row(backend, words, count, tokens, repetitions) for count in counts]
        return rows
    finally:
        await backend.close()


async def _row(backend: Backend, words: int, count: int, tokens: int, repetitions: int) -> ConcurrencyRow:
    sampling = Sampling(tokens, temperature=0.0, top_p=1.0, ignore_eos=True)
    prefix = Message("system", " ".join(f"{number % 10}" for number in range(words)))
    requests = [Request((prefix, Message("user", f"item {number}")), sampling) for number in range(count)]
    seconds = []
    for _ in range(repetitions):
        began = time.perf_counter()
        usages = [one.usage for one in await asyncio.gather(*map(backend.complete, requests))]
        seconds.append(time.perf_counter() - began)
    prompt = sum(usage.prompt_tokens for usage in usages)
    return ConcurrencyRow(
        words,
        round(prompt / count),
        count,
        statistics.median(seconds),
        sum(usage.completion_tokens for usage in usages),
        sum(usage.cached_tokens for usage in usages) / prompt,
    )
