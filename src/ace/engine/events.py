"""What a run tells whoever watches it. Views read these; nothing in the loop depends on a listener."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ace.types import RoleName, Usage


@dataclass(frozen=True, slots=True)
class EngineReady:
    """A backend is up. `start_s` is its own start-up time in seconds; `reason` says why it was chosen.

    `memory_bytes` is what weights and KV cache of an engine in this process take.
    """

    provider: str
    model: str
    device: str
    start_s: float
    reason: str
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class EngineStartDeferred:
    """An engine is not started before it is asked: the completion cache has a finished run of these settings."""

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
class CallFinished:
    """One model call came back."""

    role: RoleName
    usage: Usage
    parsed: bool


@dataclass(frozen=True, slots=True)
class CallFailed:
    """One model call came to nothing: its backend raised `error`, or the answer could not be read."""

    role: RoleName
    error: str


@dataclass(frozen=True, slots=True)
class BackendAdjusted:
    """A server refused a request's form, and is asked in another one from now on."""

    note: str


@dataclass(frozen=True, slots=True)
class BatchStarted:
    """A batch is admitted: its samples begin from playbook version `playbook_version`.

    The batch before it may still be on its way to the disk; with `adaptation.pipeline: 1` it is still under way.
    """

    index: int
    epoch: int
    samples: int
    playbook_version: int


@dataclass(frozen=True, slots=True)
class SampleFinished:
    """A sample of a batch under way is done. `correct` is None where the sample failed."""

    batch: int
    sample: str
    first_correct: bool | None
    correct: bool | None
    rounds: int


@dataclass(frozen=True, slots=True)
class CurationFailed:
    """One curator call failed while the engine is well: its group's insights are lost, and nothing else."""

    batch: int
    group: int
    error: str


@dataclass(frozen=True, slots=True)
class BulletFlagged:
    """The guard found something in a new wording: `bullet` has it now, or is `quarantined` with it.

    The reasons never repeat a secret.
    """

    batch: int
    bullet: str
    reasons: tuple[str, ...]
    quarantined: bool


@dataclass(frozen=True, slots=True)
class BatchCommitted:
    """The batch is in the store. Nothing of it can be lost any more.

    `first_correct` answers were right without a reflection, `corrected` ones after; `operations` counts by type what was
    carried out. `skipped` counts by reason what was proposed and was not, or could not be read.
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
    """The run ends before its work is done, because a limit is reached; what was paid for is in the store."""

    run: str
    reason: str


@dataclass(frozen=True, slots=True)
class RunFinished:
    """The run has ended with `status` (done, interrupted, failed or budget)."""

    run: str
    status: str


Event = (
    EngineReady
    | EngineStartDeferred
    | RunStarted
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
    | RunFinished
)
Listener = Callable[[Event], None]


def null_listener(event: Event) -> None:
    """Listener that ignores every event."""
