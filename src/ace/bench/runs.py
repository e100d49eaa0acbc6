"""The whole adaptation run, mode by mode: transformers and vLLM, one call at a time and at full width, and what each
further saving brings.

Every mode works the same samples of the same worlds (one a repetition, so that no prefix cache is warm from before)
with the same batch size, prompts and greedy sampling. What cannot be made equal: answers differ in near-ties, and with
them the playbooks and the calls that follow - calls and accuracy are in the table. vLLM guides answers by the schema,
transformers does not. Engine start and the final evaluation are not in the times.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ace.bench.machine import Machine
from ace.bench.tables import report, table
from ace.config import ModelSettings, Provider, RunSettings, settings_from
from ace.engine import RunSummary, run
from ace.inference import Backend, BackendInfo, create_backend
from ace.store import RunStore
from ace.types import ROLES, Completion, Request, RoleName

TARGET, DRAFT = "micro-target", "micro-draft"
BATCH = 16


@dataclass(frozen=True, slots=True)
class Mode:
    """One way to run. `serial` makes one call at a time; `small` names the roles that the draft model plays.

    With `escalate` the target model takes over from it where that helps.
    """

    name: str
    provider: Provider
    serial: bool = False
    early_stop: bool = False
    small: tuple[RoleName, ...] = ()
    escalate: bool = False


MODES: tuple[Mode, ...] = (
    Mode("transformers, one by one", "huggingface", serial=True),
    Mode("transformers, batched", "huggingface"),
    Mode("vLLM, one by one", "vllm", serial=True),
    Mode("vLLM", "vllm"),
    Mode("vLLM, early stopping", "vllm", early_stop=True),
    Mode("vLLM, early stopping, small reflector and curator", "vllm", early_stop=True, small=("reflector", "curator")),
    Mode(
        "vLLM, early stopping, small reflector and curator, escalating to the large one",
        "vllm",
        early_stop=True,
        small=("reflector", "curator"),
        escalate=True,
    ),
)


@dataclass(frozen=True, slots=True)
class RunRow:
    """One mode. `seconds` is the median over the repetitions of the adaptation; `speedup` is against the first row.

    `calls` and `busy_s` are means over the repetitions, by role; `busy_s` adds up what each call took, and calls that
    run at once count each for itself. Shares are means.
    """

    mode: str
    seconds: float
    spread: tuple[float, float]
    calls: dict[str, float]
    busy_s: dict[str, float]
    cached_share: float
    accuracy: float
    speedup: float


@dataclass(frozen=True, slots=True)
class RunReport:
    """All modes, the baseline first, with what they were measured on."""

    rows: tuple[RunRow, ...]
    samples: int
    epochs: int
    repetitions: int
    seed: int
    machine: Machine

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def to_markdown(self) -> str:
        """A table with the command's inputs and the machine above it."""
        inputs = f"--samples {self.samples} --epochs {self.epochs} --repetitions {self.repetitions} --seed {self.seed}"
        columns = (
            "mode",
            "adaptation s (median, range)",
            "against the first",
            "calls: generator, reflector, curator",
            "busy s: generator, reflector, curator",
            "prompt tokens cached",
            "accuracy",
        )
        rows = (
            (
                row.mode,
                f"{row.seconds:.2f} ({row.spread[0]:.2f} to {row.spread[1]:.2f})",
                f"{row.speedup:.1f}x",
                ", ".join(f"{row.calls[role]:.0f}" for role in ROLES),
                ", ".join(f"{row.busy_s[role]:.2f}" for role in ROLES),
                f"{row.cached_share:.0%}",
                f"{row.accuracy:.1%}",
            )
            for row in self.rows
        )
        return report(f"ace bench run {inputs}", self.machine, table(columns, rows))


def measure_runs(*, samples: int, epochs: int, repetitions: int, seed: int, modes: Sequence[Mode] = MODES) -> RunReport:
    """Measure `modes`, one engine after the other in this process. Raises what starting a provider raises."""
    rows: list[RunRow] = []
    for mode in modes:
        summaries = asyncio.run(_measure(mode, samples, epochs, repetitions, seed))
        rows.append(_row(mode, summaries, rows[0].seconds if rows else None))
    return RunReport(tuple(rows), samples, epochs, repetitions, seed, Machine.here())


@dataclass(frozen=True, slots=True)
class _Measured:
    summary: RunSummary
    busy_s: dict[str, float]


async def _measure(mode: Mode, samples: int, epochs: int, repetitions: int, seed: int) -> list[_Measured]:
    async with AsyncExitStack() as stack:
        backends = await _start(mode, stack)
        measured = []
        for repetition in range(-1, repetitions):  # the first is a warm-up: kernels and grammars
            with TemporaryDirectory(prefix="ace-bench-") as folder:
                world = seed + repetition if repetition >= 0 else seed + 500_000
                settings = _settings(mode, Path(folder) / "ace.db", samples, epochs, world)
                summary = await run(settings, backends=backends)
                measured.append(_Measured(summary, _busy(settings, summary.run)))
        return measured[1:]


async def _start(mode: Mode, stack: AsyncExitStack) -> Mapping[str, Backend]:
    live: dict[str, Backend] = {}
    for model in sorted({DRAFT if role in mode.small else TARGET for role in ROLES}):
        backend = create_backend(ModelSettings(provider=mode.provider, model=model, max_model_len=2048))
        stack.push_async_callback(backend.close)
        live[model] = _OneByOne(backend) if mode.serial else backend
    return {role: live[DRAFT if role in mode.small else TARGET] for role in ROLES} | {"main": live[TARGET]}


class _OneByOne:
    """A backend that is asked one request at a time, as a loop of HTTP calls does."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._lock = asyncio.Lock()

    @property
    def info(self) -> BackendInfo:
        return self._backend.info

    async def complete(self, request: Request) -> Completion:
        async with self._lock:
            return await self._backend.complete(request)

    def count_tokens(self, text: str) -> int:
        return self._backend.count_tokens(text)

    async def close(self) -> None:
        await self._backend.close()


def _settings(mode: Mode, store: Path, samples: int, epochs: int, world: int) -> RunSettings:
    greedy = {"temperature": 0.0, "top_p": 1.0}
    return settings_from(
        {
            "name": "bench",
            "prompts": "micro",
            "store": f"sqlite:///{store}",
            "cache": "none",  # every call is to be made
            "task": {
                "name": "micro",
                "micro": {"seed": world, "terms": 16, "modifiers": 8, "train": samples, "validation": 0, "test": 64},
            },
            "models": {
                "main": {"provider": mode.provider, "model": TARGET},
                "small": {"provider": mode.provider, "model": DRAFT},
            },
            "roles": {
                role: {
                    "model": "small" if role in mode.small else "main",
                    "escalate": _escalation(role) if mode.escalate and role in mode.small else None,
                    "max_tokens": tokens,
                    **greedy,
                }
                for role, tokens in zip(ROLES, (128, 192, 512), strict=True)
            },
            "adaptation": {"epochs": epochs, "batch_size": BATCH, "early_stop": {"enabled": mode.early_stop}},
            "evaluation": {"before": False},
        }
    )


def _escalation(role: RoleName) -> dict[str, Any]:
    """When the target takes over: from the second reflection on an answer, and where a curation loses an insight."""
    return {"model": "main", **({"said": 1.0} if role == "curator" else {"rounds": 2})}


def _busy(settings: RunSettings, run_id: str) -> dict[str, float]:
    """Seconds of the calls of the batches, by role."""
    with RunStore.open(settings.store, create=False) as store:
        busy: dict[str, float] = dict.fromkeys(ROLES, 0.0)
        for call in store.calls(run_id):
            busy[call.role] += call.usage.total_s
        return busy


def _row(mode: Mode, measured: Sequence[_Measured], base: float | None) -> RunRow:
    seconds = [one.summary.adapt_s for one in measured]
    median = statistics.median(seconds)
    return RunRow(
        mode=mode.name,
        seconds=median,
        spread=(min(seconds), max(seconds)),
        calls={role: statistics.mean(one.summary.calls[role] for one in measured) for role in ROLES},
        busy_s={role: statistics.mean(one.busy_s[role] for one in measured) for role in ROLES},
        cached_share=statistics.mean(one.summary.prefix_cache_hit_rate or 0.0 for one in measured),
        accuracy=statistics.mean(one.summary.accuracy_after or 0.0 for one in measured),
        speedup=1.0 if base is None else base / median,
    )
