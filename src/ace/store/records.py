"""Records of a store: frozen values, all times aware datetimes in UTC.

The engine commits each `*Record`; readers get each `*Info` and `Run`. Derived values are properties.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from ace.playbook.apply import SkippedOperation
    from ace.playbook.delta import Delta
    from ace.playbook.playbook import Playbook
    from ace.roles.role_call import CallRecord
    from ace.types import Completion, RoleName, Usage

RunStatus = Literal["running", "done", "interrupted", "failed", "budget"]
Control = Literal["pause", "stop"]
"""What people request of a running run."""
OutcomeStatus = Literal["scored", "failed"]

FINISHED: tuple[RunStatus, ...] = ("done", "interrupted", "failed", "budget")


def utcnow() -> datetime:
    """Return the current time as an aware datetime."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class OutcomeRecord:
    """The outcome of one sample. A failed one has `error` and no `value` or `correct`: it is never a wrong answer.

    `position` is the sample's place in its batch or evaluation, from 0. `rounds` counts reflect-and-retry rounds;
    `first_correct` is the grade of the first answer, None where there was none. `stop` is the reason why
    reflection ended (`ace.engine.learning.early_stopping.StopReason`), None in an evaluation.
    """

    sample_id: str
    position: int
    status: OutcomeStatus = "scored"
    answer: str = ""
    value: float | None = None
    correct: bool | None = None
    rounds: int = 0
    first_correct: bool | None = None
    error: str | None = None
    stop: str | None = None
    retried_in: int | None = None
    """The batch in which a failed sample was asked again; this outcome then counts no more."""

    @property
    def corrected(self) -> bool:
        """Wrong at first, right after at least one round."""
        return self.correct is True and self.first_correct is False


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """An answered call of a batch or evaluation that is not committed yet. `digest` is its request's.

    `escalated` is the call record's.
    """

    role: RoleName
    digest: str
    completion: Completion
    escalated: str | None = None


@dataclass(frozen=True, slots=True)
class FailureRecord:
    """A failed sample, or (with `role`) an answer that could not be read, in a batch or in an evaluation.

    `request` is the digest of the request whose answer it was.
    """

    batch: int | None
    evaluation: int | None
    sample_id: str | None
    role: RoleName | None
    error: str
    text: str
    request: str | None


@dataclass(frozen=True, slots=True)
class PlaceUsage:
    """Usage of the calls of one batch or one evaluation. `call_s` adds up their seconds, also at the same time."""

    batch: int | None
    evaluation: int | None
    calls: int
    completion_tokens: int
    call_s: float


@dataclass(frozen=True, slots=True)
class RoleUsage:
    """Usage of the calls of one role, or of one of its tiers.

    `calls` were answered by an engine, `from_cache` by the completion cache for nothing.
    """

    calls: int
    usage: Usage
    parse_failures: int
    from_cache: int

    def __add__(self, other: RoleUsage) -> RoleUsage:
        return RoleUsage(
            self.calls + other.calls,
            self.usage + other.usage,
            self.parse_failures + other.parse_failures,
            self.from_cache + other.from_cache,
        )


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """One batch, committed whole or not at all. `index` counts from 0 over the run without gaps.

    `delta` is what the batch proposed after merge and dedup, `skipped` what `apply` left out of it, `playbook` the
    result (its version unchanged if nothing changed). `window` is free JSON: the engine's state for the next batch.
    """

    run: str
    index: int
    epoch: int
    outcomes: tuple[OutcomeRecord, ...]
    calls: tuple[CallRecord, ...]
    delta: Delta
    playbook: Playbook
    skipped: tuple[SkippedOperation, ...] = ()
    compacted: bool = False
    window: Mapping[str, Any] = field(default_factory=dict)
    started: datetime = field(default_factory=utcnow)
    finished: datetime = field(default_factory=utcnow)
    errors: tuple[str, ...] = ()
    """Why curator calls of this batch failed."""
    retries: tuple[tuple[int, int], ...] = ()
    """The failed outcomes, by batch and position, whose samples this batch asks again."""


@dataclass(frozen=True, slots=True)
class EvaluationRecord:
    """One evaluation, committed whole or not at all. `label` is "before", "after", "validation" or the user's.

    `metrics` are the task's own numbers, by name. `after_batch` is the index of the last batch committed before it,
    None where it preceded them all.
    """

    run: str
    label: str
    split: str
    playbook_version: int
    outcomes: tuple[OutcomeRecord, ...]
    calls: tuple[CallRecord, ...]
    after_batch: int | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    started: datetime = field(default_factory=utcnow)
    finished: datetime = field(default_factory=utcnow)


@dataclass(frozen=True, slots=True)
class EvaluationAmendment:
    """Retries of the failed samples of a committed evaluation. `metrics` are those of all its samples."""

    outcomes: tuple[OutcomeRecord, ...]
    calls: tuple[CallRecord, ...]
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that writes a run. `process` distinguishes it from a later one with the same pid ("" if unknown)."""

    pid: int
    host: str
    heartbeat: datetime
    token: str
    process: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """A stored run. `batches` counts the committed ones; `live` is True while the process of its owner runs."""

    id: str
    name: str
    created: datetime
    finished: datetime | None
    ace_version: str
    settings: Mapping[str, Any]
    settings_digest: str
    task: str
    task_digest: str
    pack: str
    pack_digest: str
    status: RunStatus
    summary: Mapping[str, Any] | None
    best_version: int | None
    owner: Owner | None
    live: bool
    batches: int
    error: str | None = None
    """The error that ended a run that failed."""
    notes: tuple[str, ...] = ()
    """Changes that its backends made to their requests."""
    control: Control | None = None
    """What somebody requested while it runs."""
    paused: datetime | None = None
    """Since when it makes no model calls."""

    @property
    def abandoned(self) -> bool:
        """True for a run with the status "running" whose process died."""
        return self.status == "running" and not self.live

    @property
    def running(self) -> bool:
        """True while the run's process works on it, or waits because somebody paused it."""
        return self.status == "running" and self.live


@dataclass(frozen=True, slots=True)
class BatchInfo:
    """A committed batch without its calls' texts. `samples` = `scored` + `failed`; tokens are over all its calls."""

    index: int
    epoch: int
    playbook_version: int
    compacted: bool
    window: Mapping[str, Any]
    started: datetime
    finished: datetime
    samples: int
    correct: int
    failed: int
    corrected: int
    errors: tuple[str, ...] = ()
    prompt_tokens: int = 0
    cached_tokens: int = 0

    @property
    def cache_hit_rate(self) -> float | None:
        """Share of the prompt tokens that came from the prefix cache; None without prompt tokens."""
        return self.cached_tokens / self.prompt_tokens if self.prompt_tokens else None

    @property
    def scored(self) -> int:
        return self.samples - self.failed


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """A committed playbook. `batch` is None for the one the run began with.

    `operations` counts by type what was carried out, `skipped` what was not. A batch that changes nothing repeats the
    version of the one before it. An edit has an `author`, and follows the version of `batch`.
    """

    version: int
    batch: int | None
    digest: str
    bullets: int
    operations: Mapping[str, int]
    skipped: int
    created: datetime
    author: str | None = None


@dataclass(frozen=True, slots=True)
class DeltaInfo:
    """The delta of one batch or edit, the version it led to, and what `apply` skipped of it.

    An edit has an `author`; `batch` is the last one before it, None before the first.
    """

    batch: int | None
    version: int
    delta: Delta
    skipped: tuple[SkippedOperation, ...]
    created: datetime
    author: str | None = None


@dataclass(frozen=True, slots=True)
class EvaluationInfo:
    """A committed evaluation. `index` counts from 0 over the run; `n` = correct + wrong + failed."""

    index: int
    label: str
    split: str
    playbook_version: int
    after_batch: int | None
    n: int
    correct: int
    failed: int
    started: datetime
    finished: datetime
    metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def accuracy(self) -> float:
        """Correct among all `n`: a failed sample is not correct, nor is it wrong (see `failed`). 0.0 of none."""
        return self.correct / self.n if self.n else 0.0


@dataclass(frozen=True, slots=True)
class CreditRecord:
    """The measured loss of playbook `version` of a run without one bullet, on `samples` samples of `split`.

    `effect` is that loss in [-1, 1] with its 95% interval `low` to `high`; negative for a bullet that harms.
    `p_corrected` is Holm's over all bullets of the measurement. `lost` and `gained` count the samples that are worse
    and better without the bullet. `content` is the text that was measured, `probe` the run with the evaluations.
    """

    bullet: str
    content: str
    version: int
    split: str
    samples: int
    measure: str
    effect: float
    low: float
    high: float
    p_corrected: float
    lost: int
    gained: int
    probe: str
    measured: datetime = field(default_factory=utcnow)


FeedbackStatus = Literal["stored", "conflict", "unknown"]
"""Whether feedback is in the store, contradicts what is there, or is on a request that the store does not have."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A client's request and the answer to it behind playbook `version` of `run`. `request_id` is unique in the store.

    `question` is the conversation as text, without the playbook.
    """

    request_id: str
    run: str
    version: int
    question: str
    answer: str
    model: str = ""
    created: datetime = field(default_factory=utcnow)


@dataclass(frozen=True, slots=True)
class Feedback:
    """The outcome of an answer: `correct` or a `score` in [0, 1], a remark, and the answer that was `expected`.

    Whatever is not known is None, or empty. There is one for a request, equal to itself however often it is reported.
    """

    request_id: str
    correct: bool | None = None
    score: float | None = None
    text: str = ""
    expected: str | None = None
