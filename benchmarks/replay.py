"""The calls of recorded runs, made again with answers of the same lengths by a model of any shape with random weights.

Every mode of the same trace does the same work: the same prompts, the same number of tokens in each answer, the same
order (a sample's calls follow each other, batches wait for each other), precision and threads. Each repetition is a
process of its own, so that no prefix cache is warm. What cannot be made equal: random weights write random tokens, so
the recorded answers and not the new ones stand in later prompts; schemas guide nothing, since they would end answers
early; transformers pads the prompts of a batch to the longest.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ace.bench.adaptation_runs.call_trace import (
    Tier,
    TracedCall,
    play,
    read_trace,
    record,
    save_trace,
    stored_calls,
)
from ace.bench.adaptation_runs.measured_run import steps_of
from ace.bench.adaptation_runs.one_by_one import SerialBackend
from ace.bench.adaptation_runs.run_comparison import divided_threads_text
from ace.bench.adaptation_runs.run_modes import BATCH, EARLY, TIERED, Mode, choice, together
from ace.bench.hardware.engine_threads import set_engine_threads, threads_of
from ace.bench.hardware.isolated_process import isolated
from ace.bench.hardware.measured_machine import Machine
from ace.bench.hardware.model_shapes import SHAPES, SMALLER, build_shape, weight_bytes
from ace.bench.hardware.roofline import Bound, Ceiling, ModelCalls, Roofline, against_hardware
from ace.bench.markdown_tables import report, table
from ace.bench.report import Chart, Partial, Report, ignore_partial
from ace.config import ModelSettings, Provider
from ace.errors import ConfigError
from ace.inference import Backend, create_backend
from ace.store import RunStore
from ace.types import Completion, Message, Usage
from benchmarks.progress_bar import progress

VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "full": {},
    "early stopping": EARLY,
    "tiered": TIERED,
    "early stopping, tiered": together(EARLY, TIERED),
}
"""The runs that are recorded, by what their settings say besides."""


@dataclass(frozen=True, slots=True)
class ReplayMode:
    """A trace's variant and what makes its calls: so many engines of each model. `serial` makes one call at a time."""

    name: str
    provider: Provider
    variant: str = "full"
    serial: bool = False
    engines: int = 1


REPLAY_MODES: tuple[ReplayMode, ...] = (
    ReplayMode("transformers, one by one", "huggingface", serial=True),
    ReplayMode("transformers, batched", "huggingface"),
    ReplayMode("vLLM, one by one", "vllm", serial=True),
    ReplayMode("vLLM", "vllm"),
    ReplayMode("vLLM, early stopping", "vllm", "early stopping"),
    *((ReplayMode("vLLM, two engines", "ray", engines=2),) if find_spec("ray") is not None else ()),
    ReplayMode("vLLM, small reflector and curator", "vllm", "tiered"),
    ReplayMode("vLLM, early stopping, small reflector and curator", "vllm", "early stopping, tiered"),
)


@dataclass(frozen=True, slots=True)
class Recorded:
    """The runs that a trace is made of."""

    samples: int
    epochs: int
    batch: int
    seed: int


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run of a store, whose calls are played instead of recorded ones."""

    run: str
    store: str

    def calls(self) -> list[TracedCall]:
        """The calls of its batches. RunNotFoundError, StoreError; DataError where they cannot be replayed."""
        with RunStore.open(self.store, create=False) as store:
            return stored_calls(store, store.resolve(self.run))


@dataclass(frozen=True, slots=True)
class ReplayRow:
    """One mode.

    `seconds` is the median over the repetitions, `speedup` against the first, `bound` that of the repetition in the
    middle; the rest is the trace's.
    """

    mode: str
    seconds: float
    speedup: float
    calls: int
    small_calls: int
    prompt_tokens: int
    completion_tokens: int
    cached_share: float
    bound: Bound | None


@dataclass(frozen=True, slots=True)
class Played:
    """One repetition: seconds and cost of all calls, and what each model was asked."""

    seconds: float
    usage: Usage
    model_calls: tuple[ModelCalls, ...]


@dataclass(frozen=True, slots=True)
class ReplayWork:
    """Shapes of a replay: their names or folders, and `layers` where they were cut."""

    shape: str
    small_shape: str
    layers: int | None
    samples: int
    epochs: int
    batch: int
    repetitions: int
    seed: int
    trace: str | None
    stored: StoredRun | None = None


@dataclass(frozen=True, slots=True)
class ReplayReport(Report):
    """All modes, the baseline first, with what they were measured on."""

    rows: tuple[ReplayRow, ...]
    work: ReplayWork
    weight_bytes: int
    threads: int
    rooflines: dict[str, Roofline]
    machine: Machine

    def to_markdown(self) -> str:
        """The command's inputs and the machine, then two tables: seconds, and the least that the hardware allows."""
        columns = ("mode", "seconds (median)", "against the first", "calls (small)", "tokens in, out", "cached")
        return report(
            _command(self.work) + choice(REPLAY_MODES, [row.mode for row in self.rows]),
            self.machine,
            f"Random weights, {self.weight_bytes / 1e9:.2f} GB of them as bfloat16;"
            f" {divided_threads_text(self.threads)};"
            " answers of the recorded lengths, no schemas.",
            table(columns, map(_cells, self.rows)),
            *against_hardware({row.mode: row.bound for row in self.rows}, self.rooflines),
        )

    def charts(self) -> tuple[Chart, ...]:
        names = tuple(row.mode for row in self.rows)
        speedups = tuple(row.speedup for row in self.rows)
        return (Chart(f"The same calls by {self.work.shape}", "times as fast as the first", names, {"": speedups}),)


def _command(work: ReplayWork) -> str:
    recorded = f" --samples {work.samples} --epochs {work.epochs} --batch {work.batch} --seed {work.seed}"
    if work.stored is not None:
        trace = f" --run {work.stored.run}"
    else:
        trace = f" --trace {work.trace}" if work.trace else recorded
    cut = f" --layers {work.layers}" if work.layers else ""
    shapes = f"--shape {work.shape} --small-shape {work.small_shape}"
    return f"python -m benchmarks replay {shapes}{cut}{trace} --repetitions {work.repetitions}"


def _cells(row: ReplayRow) -> tuple[str, ...]:
    return (
        row.mode,
        f"{row.seconds:.2f}",
        f"{row.speedup:.1f}x",
        f"{row.calls} ({row.small_calls})",
        f"{row.prompt_tokens}, {row.completion_tokens}",
        f"{row.cached_share:.0%}",
    )


def measure_replay(
    *,
    shape: str,
    samples: int,
    repetitions: int,
    seed: int,
    epochs: int = 1,
    batch: int = BATCH,
    small_shape: str | None = None,
    layers: int | None = None,
    trace: Path | None = None,
    stored: StoredRun | None = None,
    save: Path | None = None,
    modes: Sequence[ReplayMode] = REPLAY_MODES,
    partial: Partial = ignore_partial,
) -> ReplayReport:
    """Record (or read) the traces that `modes` need, then play them.

    ConfigError, DataError, StoreError, and what starting a provider raises.
    """
    small_shape = small_shape or SMALLER.get(shape, "micro")
    with TemporaryDirectory(prefix="ace-bench-") as scratch:
        folders: dict[Tier, Path] = {
            "main": build_shape(shape, Path(scratch) / "main", layers=layers),
            "small": build_shape(small_shape, Path(scratch) / "small", layers=layers),
        }
        runs = Recorded(samples, epochs, batch, seed)
        calls = _traced_calls(trace, stored, modes, runs)
        traced = [[call for call in calls if call.variant == mode.variant] for mode in modes]
        for mode, calls in zip(modes, traced, strict=True):
            if not calls:
                source = stored.run if stored is not None else str(trace)
                raise ConfigError.at("--mode", mode.name, f"modes of 'full': {source} has no calls of '{mode.variant}'")
        if save is not None:
            save_trace(save, calls)
        work = ReplayWork(
            shape, small_shape, layers, samples, epochs, batch, repetitions, seed, str(trace) if trace else None, stored
        )
        size = weight_bytes(folders["main"])
        threads, machine = threads_of(shape, size), Machine.here()
        ceiling = Ceiling(threads)
        rows: list[ReplayRow] = []
        for mode, calls in zip(modes, traced, strict=True):
            played = [isolated(play_mode, mode, calls, folders, threads) for _ in range(repetitions)]
            rows.append(_row(mode, calls, played, rows[0].seconds if rows else None, ceiling))
            partial(ReplayReport(tuple(rows), work, size, threads, ceiling.rooflines, machine))
        return ReplayReport(tuple(rows), work, size, threads, ceiling.rooflines, machine)


def _traced_calls(
    trace: Path | None, stored: StoredRun | None, modes: Sequence[ReplayMode], runs: Recorded
) -> list[TracedCall]:
    if stored is not None:
        return stored.calls()
    return read_trace(trace) if trace is not None else record_variants(modes, runs)


def record_variants(modes: Sequence[ReplayMode], runs: Recorded) -> list[TracedCall]:
    """The runs that `modes` replay, made by the micro models through vLLM."""
    variants = dict.fromkeys(mode.variant for mode in modes)
    return [call for variant in variants for call in isolated(_record, variant, runs)]


def _record(variant: str, runs: Recorded) -> list[TracedCall]:
    return asyncio.run(record(variant, Mode(variant, settings=VARIANTS[variant]), **asdict(runs)))


def _row(
    mode: ReplayMode, calls: Sequence[TracedCall], played: Sequence[Played], base: float | None, ceiling: Ceiling
) -> ReplayRow:
    seconds = statistics.median(one.seconds for one in played)
    middle = sorted(played, key=lambda one: one.seconds)[len(played) // 2]
    usage = middle.usage
    return ReplayRow(
        mode.name,
        seconds,
        1.0 if base is None else base / seconds,
        len(calls),
        sum(call.tier == "small" for call in calls),
        usage.prompt_tokens,
        usage.completion_tokens,
        usage.cached_tokens / usage.prompt_tokens,
        ceiling.bound(middle.model_calls, middle.seconds),
    )


def play_mode(mode: ReplayMode, calls: Sequence[TracedCall], folders: Mapping[Tier, Path], threads: int) -> Played:
    """In a process of its own: all calls, after a warm-up that shares no prefix with them."""
    set_engine_threads(threads)
    return asyncio.run(_played(mode, calls, folders))


async def _played(mode: ReplayMode, calls: Sequence[TracedCall], folders: Mapping[Tier, Path]) -> Played:
    async with AsyncExitStack() as stack:
        lock = asyncio.Lock()
        engines: dict[Tier, Backend] = {}
        for settings, tier in dummies(mode.provider, calls, folders):
            engines[tier] = create_backend(settings.model_copy(update={"replicas": mode.engines}))
            stack.push_async_callback(engines[tier].close)
        live = {tier: SerialBackend(engine, lock) if mode.serial else engine for tier, engine in engines.items()}
        usages: dict[Tier, list[Usage]] = {tier: [] for tier in engines}
        advance = stack.enter_context(progress(mode.name, len(calls)))

        async def ask(call: TracedCall) -> Completion:
            completion = await live[call.tier].complete(call.request)
            usages[call.tier].append(completion.usage)
            advance()
            return completion

        await asyncio.gather(*(live[call.tier].complete(warm_up(call).request) for call in calls[:4]))
        before = {tier: engine.meter() for tier, engine in engines.items()}
        started = time.perf_counter()
        usage = await play(calls, ask)
        seconds = time.perf_counter() - started
        model_calls = []
        for tier, engine in engines.items():
            was, now = before[tier], engine.meter()
            stepped = now.steps - was.steps if was and now else 0
            steps = steps_of(mode.provider, usages[tier], stepped, serial=mode.serial)
            model_calls.append(ModelCalls(str(folders[tier]), tuple(usages[tier]), steps, engines=mode.engines))
        return Played(seconds, usage, tuple(model_calls))


def warm_up(call: TracedCall) -> TracedCall:
    """A short answer behind a prompt that begins otherwise."""
    first, *rest = call.messages
    return replace(call, messages=(Message(first.role, f"0 {first.content}"), *rest), tokens=min(4, call.tokens))


def dummies(
    provider: Provider, calls: Sequence[TracedCall], folders: Mapping[Tier, Path]
) -> list[tuple[ModelSettings, Tier]]:
    """Settings for random weights of the shapes that are called; a GPU's memory is divided by their sizes."""
    tiers = sorted({call.tier for call in calls})
    sizes = {tier: weight_bytes(folders[tier]) for tier in tiers}
    return [
        (
            ModelSettings(
                provider=provider,
                model=str(folders[tier]),
                max_model_len=2048 if folders[tier].name in SHAPES else 8192,
                gpu_memory_utilization=0.9 * sizes[tier] / sum(sizes.values()),
                engine_args={"load_format": "dummy"},
                timeout_s=3600.0,  # of a large model without a GPU
            ),
            tier,
        )
        for tier in tiers
    ]
