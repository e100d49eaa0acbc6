"""Latency of single requests: first token, rate of the following ones, whole answer.

Every row asks the same number of prompts of the same length, and gets the same number of tokens for each. The prompts
of the first two rows have nothing in common but the preamble (each has a playbook of its own); those of the third share
one playbook, as in a run. transformers has no cache that outlives a call, so that it is measured once. What cannot be
made equal: the huggingface backend waits 2 ms for others to batch with, which is in its times.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from ace.bench.adaptation_runs.micro_prompts import generator_prompts
from ace.bench.adaptation_runs.run_comparison import threads_text
from ace.bench.hardware.engine_threads import set_engine_threads, threads_of
from ace.bench.hardware.isolated_process import isolated
from ace.bench.hardware.measured_machine import Machine
from ace.bench.hardware.model_shapes import build_shape, weight_bytes
from ace.bench.markdown_tables import report, table
from ace.bench.report import Chart, Partial, Report, ignore_partial
from ace.config import ModelSettings, Provider
from ace.inference import create_backend
from ace.types import Message, Request, Sampling, Usage

ROWS: tuple[tuple[str, Provider, bool], ...] = (
    ("transformers", "huggingface", False),
    ("vLLM, every prompt new", "vllm", False),
    ("vLLM, prefix in the cache", "vllm", True),
)


@dataclass(frozen=True, slots=True)
class LatencyRow:
    """Medians over the prompts, in seconds; `decode_tokens_per_s` counts the tokens after the first."""

    mode: str
    ttft_s: float
    decode_tokens_per_s: float
    total_s: float
    prompt_tokens: int
    cached_share: float


@dataclass(frozen=True, slots=True)
class LatencyReport(Report):
    """transformers first, with what they were measured on. `shape` is a model with random weights."""

    rows: tuple[LatencyRow, ...]
    shape: str
    prompts: int
    tokens: int
    seed: int
    threads: int
    machine: Machine

    def to_markdown(self) -> str:
        """The tables of `parts`, below the command and the machine."""
        inputs = f"--shape {self.shape} --prompts {self.prompts} --tokens {self.tokens} --seed {self.seed}"
        return report(f"ace bench latency {inputs}", self.machine, *self.parts())

    def parts(self) -> tuple[str, ...]:
        """A table with ratios against transformers, and what it is of."""
        columns = ("mode", "first token ms", "tokens/s after it", "whole answer ms", "prompt tokens (cached)")
        base = self.rows[0]
        rows = (
            (
                row.mode,
                f"{row.ttft_s * 1e3:.1f} ({base.ttft_s / row.ttft_s:.1f}x)",
                f"{row.decode_tokens_per_s:.0f} ({row.decode_tokens_per_s / base.decode_tokens_per_s:.1f}x)",
                f"{row.total_s * 1e3:.1f} ({base.total_s / row.total_s:.1f}x)",
                f"{row.prompt_tokens} ({row.cached_share:.0%})",
            )
            for row in self.rows
        )
        return (
            f"Batch 1, {self.tokens} tokens an answer, {threads_text(self.threads)} for every engine; medians.",
            table(columns, rows),
        )

    def charts(self) -> tuple[Chart, ...]:
        names = tuple(row.mode for row in self.rows)
        times = {
            "first token": tuple(row.ttft_s * 1e3 for row in self.rows),
            "whole answer": tuple(row.total_s * 1e3 for row in self.rows),
        }
        return (Chart("One request at a time", "ms", names, times),)


def measure_latency(
    *, shape: str, prompts: int, tokens: int, seed: int, partial: Partial = ignore_partial
) -> LatencyReport:
    """Measure each row in a process of its own. ConfigError for an unknown shape; what starting a provider raises."""
    with TemporaryDirectory(prefix="ace-bench-") as scratch:
        folder = build_shape(shape, Path(scratch))
        threads, machine = threads_of(shape, weight_bytes(folder)), Machine.here()
        settings = ModelSettings(
            model=str(folder), max_model_len=2048, engine_args={"load_format": "dummy"}, timeout_s=3600.0
        )
        rows: list[LatencyRow] = []
        for name, provider, warm in ROWS:
            # one more, with which the engine, and where it is to be the prefix cache, gets warm
            messages = generator_prompts(prompts + 1, seed, worlds=1 if warm else prompts + 1)
            rows.append(latency_row(name, provider, settings, messages, tokens, threads))
            partial(LatencyReport(tuple(rows), shape, prompts, tokens, seed, threads, machine))
        return LatencyReport(tuple(rows), shape, prompts, tokens, seed, threads, machine)


def latency_row(
    name: str,
    provider: Provider,
    settings: ModelSettings,
    prompts: Sequence[tuple[Message, ...]],
    tokens: int,
    threads: int,
) -> LatencyRow:
    """One engine, in a process of its own, asked `prompts` one by one; the first of them warms it up."""
    usages = isolated(_ask_all, settings.model_copy(update={"provider": provider}), prompts, tokens, threads)
    return _row(name, usages[1:])


def _ask_all(settings: ModelSettings, prompts: Sequence[tuple[Message, ...]], tokens: int, threads: int) -> list[Usage]:
    set_engine_threads(threads)
    return asyncio.run(_answers(settings, prompts, tokens))


async def _answers(settings: ModelSettings, prompts: Sequence[tuple[Message, ...]], tokens: int) -> list[Usage]:
    sampling = Sampling(tokens, temperature=0.0, top_p=1.0, ignore_eos=True)
    backend = create_backend(settings)
    try:
        return [(await backend.complete(Request(messages, sampling))).usage for messages in prompts]
    finally:
        await backend.close()


def _row(name: str, usages: Sequence[Usage]) -> LatencyRow:
    prompt = sum(usage.prompt_tokens for usage in usages)
    firsts = [usage.ttft_s or 0.0 for usage in usages]
    return LatencyRow(
        name,
        statistics.median(firsts),
        statistics.median(
            (usage.completion_tokens - 1) / (usage.total_s - first) for usage, first in zip(usages, firsts, strict=True)
        ),
        statistics.median(usage.total_s for usage in usages),
        round(prompt / len(usages)),
        sum(usage.cached_tokens for usage in usages) / prompt,
    )
