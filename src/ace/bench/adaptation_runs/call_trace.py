"""Traces of a run's requests, to replay the same work on any engine and model.

A trace has one line of JSON for each call. Calls of one chain (a sample's) follow each other; chains of one batch do
not wait for each other; the calls without a chain (the curator's) come when the chains are done; then the next batch.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, get_args

from ace._util.files import replace_file
from ace.bench.adaptation_runs.run_modes import BATCH, Mode, run_settings
from ace.engine import run
from ace.errors import ConfigError, DataError
from ace.store import RunStore
from ace.types import ROLES, Completion, Message, Request, RoleName, Sampling, Usage

Tier = Literal["main", "small"]
Ask = Callable[["TracedCall"], Awaitable[Completion]]


@dataclass(frozen=True, slots=True)
class TracedCall:
    """One call. `tokens` is how long the answer was; `chain` is the sample's id, None for a call of the whole batch."""

    variant: str
    batch: int
    chain: str | None
    role: RoleName
    tier: Tier
    messages: tuple[Message, ...]
    tokens: int

    @property
    def request(self) -> Request:
        """The call with its answer's length fixed and without a schema, which would end the answer."""
        return Request(self.messages, Sampling(self.tokens, temperature=0.0, top_p=1.0, ignore_eos=True))


async def record(
    variant: str, mode: Mode, *, samples: int, seed: int, epochs: int = 1, batch: int = BATCH
) -> list[TracedCall]:
    """Make the adaptation of `mode` on the micro world with real weights, and give back its calls."""
    with TemporaryDirectory(prefix="ace-bench-") as folder:
        store_url = f"sqlite:///{Path(folder) / 'ace.db'}"
        settings = run_settings(mode, store=store_url, samples=samples, epochs=epochs, world=seed, batch=batch)
        settings = settings.model_copy(update={"evaluation": settings.evaluation.model_copy(update={"after": False})})
        summary = await run(settings)
        with RunStore.open(store_url, create=False) as store:
            return stored_calls(store, summary.run, variant)


def stored_calls(store: RunStore, run: str, variant: str = "full") -> list[TracedCall]:
    """Read the calls of a stored run's batches; those of another model than the generator's are the small tier's.

    DataError where the run has no batch, or prompts were not stored.
    """
    calls = [(batch.index, call) for batch in store.batches(run) for call in store.calls(run, batch=batch.index)]
    prompts = store.prompts([call.digest for _, call in calls])
    missing = sum(call.digest not in prompts for _, call in calls)
    if not calls or missing:
        cause = f"{missing} of {len(calls)} prompts are not stored" if calls else "it has no finished batch"
        raise DataError(f"run {run} cannot be replayed: {cause}")
    main = next((call.model for _, call in calls if call.role == "generator"), calls[0][1].model)
    return [
        TracedCall(
            variant,
            index,
            call.sample_id,
            call.role,
            "main" if call.model == main else "small",
            prompts[call.digest],
            max(1, call.usage.completion_tokens),
        )
        for index, call in calls
    ]


async def play(calls: Sequence[TracedCall], ask: Ask) -> Usage:
    """Make all calls, each as soon as those that it depends on are answered. Returns what they cost together."""
    total = Usage()
    for _, group in groupby(calls, key=lambda call: call.batch):
        batch = list(group)
        chains: dict[str, list[TracedCall]] = {}
        for call in batch:
            if call.chain is not None:
                chains.setdefault(call.chain, []).append(call)
        for usage in await asyncio.gather(*(_play_chain(chain, ask) for chain in chains.values())):
            total += usage
        for completion in await asyncio.gather(*(ask(call) for call in batch if call.chain is None)):
            total += completion.usage
    return total


async def _play_chain(calls: Iterable[TracedCall], ask: Ask) -> Usage:
    total = Usage()
    for call in calls:
        total += (await ask(call)).usage
    return total


def save_trace(path: Path, calls: Iterable[TracedCall]) -> None:
    """JSON lines, replacing the file whole. Raises StoreError."""
    replace_file(path, "".join(json.dumps(asdict(call), ensure_ascii=False) + "\n" for call in calls))


def read_trace(path: Path) -> list[TracedCall]:
    """Read a trace that `save_trace` wrote. DataError names the file and the line that is no call."""
    calls: list[TracedCall] = []
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                try:
                    calls.append(_call(json.loads(line)))
                except (ValueError, TypeError, KeyError, ConfigError) as error:
                    raise DataError(f"{path}:{number}: not a call of a trace: {error}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    if not calls:
        raise DataError(f"{path}: the trace is empty")
    return calls


def _call(values: Mapping[str, Any]) -> TracedCall:
    if values["role"] not in ROLES or values["tier"] not in get_args(Tier):
        raise ValueError(f"role {values['role']!r} and tier {values['tier']!r}")
    if not isinstance(values["tokens"], int) or values["tokens"] < 1 or not isinstance(values["batch"], int):
        raise ValueError("tokens and batch are whole numbers, tokens at least 1")
    messages = tuple(Message(**message) for message in values["messages"])
    return TracedCall(**{**values, "messages": messages})
