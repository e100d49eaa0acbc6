"""Records for the store's tests, deterministic in their numbers."""

from __future__ import annotations

from ace.config import ModelSettings, RunSettings, TaskSettings
from ace.playbook.apply import apply
from ace.playbook.delta import Add, Delta, Remove
from ace.playbook.playbook import Playbook
from ace.roles.role_call import CallRecord
from ace.store.records import BatchRecord, EvaluationRecord, OutcomeRecord
from ace.store.run_store import RunStore
from ace.types import ROLES, Usage

SAMPLES, CALLS = 4, 10


def settings(name: str = "My run", store: str = "sqlite:///runs/ace.db") -> RunSettings:
    models = {"main": ModelSettings(provider="scripted", model="script")}
    return RunSettings(name=name, task=TaskSettings(name="micro"), models=models, store=store)


def start(store: RunStore, name: str = "My run", playbook: Playbook | None = None) -> str:
    """A new run in `store`."""
    return store.create_run(
        settings(name), task_digest="sha256:task", pack_digest="sha256:pack", playbook=playbook or Playbook.empty()
    )


def call(number: int, text: str | None = None) -> CallRecord:
    """Each third call does not parse; token counts follow `number`."""
    return CallRecord(
        role=ROLES[number % 3],
        sample_id=f"s{number}" if number % 3 < 2 else None,
        round=number % 2,
        digest=f"sha256:{number}",
        model="micro-target",
        usage=Usage(100 + number, 90, 10, None if number % 2 else 0.5, 0.25, 1.5, 8, number % 5, 2),
        finish_reason="length" if number % 5 == 0 else "stop",
        text=f"answer {number}" if text is None else text,
        parsed=number % 3 != 2,
        error="no JSON" if number % 3 == 2 else None,
    )


def outcome(position: int, answer: str = "42") -> OutcomeRecord:
    """Position 0 fails, 1 is corrected, the rest is right at once."""
    if position == 0:
        return OutcomeRecord("s0", 0, "failed", error="prompt too long")
    return OutcomeRecord(
        f"s{position}", position, "scored", answer, 1.0, True, rounds=int(position == 1), first_correct=position != 1
    )


def batch(run: str, index: int, playbook: Playbook, *, samples: int = SAMPLES, calls: int = CALLS) -> BatchRecord:
    """Adds one bullet and tries to remove one that is not there."""
    delta = Delta((Add("rules", f"rule of batch {index}"), Remove("none-99999")))
    applied = apply(playbook, delta)
    return BatchRecord(
        run=run,
        index=index,
        epoch=0,
        outcomes=tuple(outcome(position) for position in range(samples)),
        calls=tuple(call(number) for number in range(calls)),
        delta=delta,
        playbook=applied.playbook,
        skipped=applied.skipped,
        compacted=index % 2 == 1,
        window={"index": index},
    )


def evaluation(run: str, label: str = "before", version: int = 0) -> EvaluationRecord:
    return EvaluationRecord(
        run=run,
        label=label,
        split="test",
        playbook_version=version,
        outcomes=tuple(outcome(position) for position in range(SAMPLES)),
        calls=tuple(call(3 * number) for number in range(SAMPLES)),
    )
