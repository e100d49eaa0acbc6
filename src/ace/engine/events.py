"""Events of a run, for progress displays. The loop does not depend on a listener."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ace.types import FinishReason, RoleName, Usage


@dataclass(frozen=True, slots=True)
class EngineReady:
    """A backend is up. `start_s` is its own start-up time in seconds; `reason` is why it was chosen.

    `memory_bytes` is the size of weights and KV cache of an engine in this process.
    """

    provider: str
    model: str
    device: str
    start_s: float
    reason: str
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class EngineStartDeferred:
    """An engine starts with its first call: the completion cache probably answers this run."""

    provider: str
    model: str


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The run has an identity in the store. `resumed_at` is the number of batches that were already committed."""

    run: str
    mode: str
    samples: int
    batches: int
    resumed_at: int = 0


@dataclass(frozen=True, slots=True)
class CallOpened:
    """A request went to a backend. `CallClosed` follows, with an answer, an error or without either."""

    role: RoleName


@dataclass(frozen=True, slots=True)
class CallClosed:
    """A backend has a request no longer."""

    role: RoleName


@dataclass(frozen=True, slots=True)
class CallFinished:
    """One model call came back.

    `sample` is None for a curator; `finished` is the Unix time at which the answer came.
    """

    role: RoleName
    usage: Usage
    parsed: bool
    model: str = ""
    sample: str | None = None
    round: int = 0
    finish_reason: FinishReason = "stop"
    from_cache: bool = False
    finished: float = field(default_factory=time.time)


@dataclass(frozen=True, slots=True)
class CallFailed:
    """One model call failed: its backend raised `error`, or its answer could not be parsed.

    `total_s` is how long the backend took to raise; None where it answered.
    """

    role: RoleName
    error: str
    model: str = ""
    total_s: float | None = None


@dataclass(frozen=True, slots=True)
class BackendAdjusted:
    """A server refused the form of a request, and gets another form from now on."""

    note: str


@dataclass(frozen=True, slots=True)
class BatchStarted:
    """The samples of a batch start, behind playbook version `playbook_version`.

    The commit of the previous batch may still be in flight; with `adaptation.pipeline: 1` its samples may be, too.
    """

    index: int
    epoch: int
    samples: int
    playbook_version: int


@dataclass(frozen=True, slots=True)
class SampleFinished:
    """A sample is done. `correct` is None where it failed."""

    batch: int
    sample: str
    first_correct: bool | None
    correct: bool | None
    rounds: int


@dataclass(frozen=True, slots=True)
class CurationFailed:
    """One curator call failed while the engine is well. The insights of its group are lost, and no others."""

    batch: int
    group: int
    error: str


@dataclass(frozen=True, slots=True)
class BulletFlagged:
    """The guard flagged a new wording of `bullet`, which is in the playbook or `quarantined`.

    The reasons never repeat a secret.
    """

    batch: int
    bullet: str
    reasons: tuple[str, ...]
    quarantined: bool


@dataclass(frozen=True, slots=True)
class BatchCommitted:
    """The batch is on disk.

    `first_correct` answers were right without a reflection, `corrected` ones after it. `operations` counts applied
    operations by type; `skipped` counts by reason those that were not applied or not parsed. `texts` are the bullets
    that were added or reworded, `insight` is the last one of the batch's reflections.
    """

    index: int
    epoch: int
    first_correct: int
    corrected: int
    failed: int
    samples: int
    playbook_version: int
    bullets: int
    operations: Mapping[str, int]
    skipped: Mapping[str, int] = field(default_factory=dict)
    texts: tuple[str, ...] = ()
    insight: str = ""


@dataclass(frozen=True, slots=True)
class EvaluationStarted:
    """An evaluation of `samples` samples of `split` begins."""

    label: str
    split: str
    samples: int
    playbook_version: int


@dataclass(frozen=True, slots=True)
class EvaluationProgress:
    """One more sample of the running evaluation is answered."""

    label: str
    done: int
    samples: int
    correct: int


@dataclass(frozen=True, slots=True)
class EvaluationFinished:
    """An evaluation is in the store; `accuracy` counts failed samples as not correct."""

    label: str
    split: str
    samples: int
    correct: int
    failed: int
    accuracy: float
    playbook_version: int


@dataclass(frozen=True, slots=True)
class BudgetReached:
    """The run ends early, because a limit is reached. All answered calls are in the store."""

    run: str
    reason: str


@dataclass(frozen=True, slots=True)
class TrackerFailed:
    """A tracker failed, first by `error`. It comes at the first failure, and at the end with the `failures` so far."""

    tracker: str
    error: str
    failures: int


@dataclass(frozen=True, slots=True)
class RunPaused:
    """Somebody paused the run: it makes no new model call."""

    run: str


@dataclass(frozen=True, slots=True)
class RunContinued:
    """A paused run goes on."""

    run: str


@dataclass(frozen=True, slots=True)
class RunStopping:
    """Somebody stopped the run: it ends as interrupted."""

    run: str


@dataclass(frozen=True, slots=True)
class RunFinished:
    """The run has ended with `status` (done, interrupted, failed or budget)."""

    run: str
    status: str


Event = (
    EngineReady
    | EngineStartDeferred
    | RunStarted
    | CallOpened
    | CallClosed
    | CallFinished
    | CallFailed
    | BackendAdjusted
    | BatchStarted
    | SampleFinished
    | CurationFailed
    | BulletFlagged
    | BatchCommitted
    | EvaluationStarted
    | EvaluationProgress
    | EvaluationFinished
    | BudgetReached
    | RunPaused
    | RunContinued
    | RunStopping
    | TrackerFailed
    | RunFinished
)
Listener = Callable[[Event], None]


def null_listener(event: Event) -> None:
    """Listener that ignores every event."""
