"""The summary of a run: counts from the store, times and engines from the process that ran it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass, field
from functools import cache
from typing import Any, Self

from pydantic import TypeAdapter

from ace.engine.failures import FailureCount, count_failures
from ace.inference.balancer import EndpointFigures
from ace.store import RoleUsage, RunStore
from ace.types import ROLES, RoleName, Usage


@dataclass(frozen=True, slots=True)
class RoleTokens:
    """Tokens of one role's calls, as the engine counted them; for the last five see `ace.types.Usage`."""

    prompt: int = 0
    cached: int = 0
    completion: int = 0
    drafted: int = 0
    accepted: int = 0
    draft_steps: int = 0
    reasoning: int = 0
    estimated: int = 0

    @classmethod
    def of(cls, usage: Usage) -> Self:
        """Take the tokens of `usage`."""
        return cls(
            usage.prompt_tokens,
            usage.cached_tokens,
            usage.completion_tokens,
            usage.drafted_tokens,
            usage.accepted_tokens,
            usage.draft_steps,
            usage.reasoning_tokens,
            usage.estimated_tokens,
        )

    def __add__(self, other: RoleTokens) -> RoleTokens:
        return RoleTokens(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))

    @property
    def cache_hit_rate(self) -> float | None:
        """Share of the prompt tokens that came from the prefix cache; None without prompt tokens."""
        return self.cached / self.prompt if self.prompt else None

    @property
    def acceptance_rate(self) -> float | None:
        """Share of the drafted tokens that the model accepted; None where nothing was drafted."""
        return self.accepted / self.drafted if self.drafted else None

    @property
    def accepted_length(self) -> float | None:
        """Mean tokens of a step with a draft, with the model's own one, as vLLM counts them."""
        return 1 + self.accepted / self.draft_steps if self.draft_steps else None


@dataclass(frozen=True, slots=True)
class Timing:
    """Wall-clock seconds of one process: engine start, adaptation with validation, evaluations, and the total.

    `engine_s` are the seconds of the adaptation in which an engine was stepping; None where they are not measured.
    """

    engine_start_s: float = 0.0
    adapt_s: float = 0.0
    engine_s: float | None = None
    evaluate_s: float = 0.0
    wall_s: float = 0.0


@dataclass(frozen=True, slots=True)
class RunSummary:
    """The outcome of a run. Accuracies are shares of all samples: a failed sample counts as not right.

    Rates, accuracies and `engine_s` are None where nothing was measured.

    - `samples`: samples of all batches. `accuracy_online`: share of first answers that were right before their window
      was learned from.
    - `calls`, `tokens`: of the engines, by role. `cache_hits`: calls that the completion cache answered.
    - `second_half_hit_rate`: prefix-cache hit rate of the second half of the batches, when the playbook has grown.
    - `metrics`: the task's own numbers, by evaluation.
    - `stops`: samples by the reason why reflection ended.
    - `models`: calls of each role by model (a key of `models`). `escalations`: calls of each role's larger model by
      reason.
    - `engines`: for each model, the reason for its engine and the values of its `auto` settings.
    - `failures`: errors by kind. `notes`: changes that backends made to requests which a server had refused.
    - `reason`: why the run ended before its work was done. `endpoints`: figures of a model's several endpoints.
    - `engine_s`: seconds of the adaptation in which an engine of this process was stepping.
    """

    run: str
    status: str
    mode: str
    provider: str
    model: str
    samples: int
    failed_samples: int
    accuracy_before: float | None
    accuracy_after: float | None
    accuracy_online: float | None
    evaluated_samples: int
    engine_start_s: float
    adapt_s: float
    engine_s: float | None
    evaluate_s: float
    wall_s: float
    prefix_cache_hit_rate: float | None
    second_half_hit_rate: float | None
    calls: Mapping[str, int]
    cache_hits: int
    stops: Mapping[str, int]
    tokens: Mapping[str, RoleTokens]
    parse_failures: int
    playbook_version: int
    playbook_bullets: int
    metrics: Mapping[str, Mapping[str, float]]
    models: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    escalations: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    engines: Mapping[str, str] = field(default_factory=dict)
    failures: tuple[FailureCount, ...] = ()
    notes: tuple[str, ...] = ()
    reason: str | None = None
    endpoints: tuple[EndpointFigures, ...] = ()

    @property
    def outside_engine(self) -> float | None:
        """Share of the adaptation in which no engine was stepping: the loop's own work and its waiting."""
        if self.engine_s is None or self.adapt_s <= 0:
            return None
        return max(0.0, 1.0 - self.engine_s / self.adapt_s)

    def to_json(self) -> dict[str, Any]:
        """Convert to plain JSON values, one key for each field."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RunSummary:
        """Read what `to_json` made, such as the summary of a stored run. ValueError where it does not fit."""
        summary: RunSummary = _adapter().validate_python(dict(data))
        return summary


@cache
def _adapter() -> TypeAdapter[RunSummary]:
    return TypeAdapter(RunSummary)


def summarise(
    store: RunStore,
    run: str,
    *,
    status: str,
    provider: str,
    model: str,
    version: int,
    timing: Timing,
    engines: Mapping[str, str],
    reason: str | None = None,
    endpoints: tuple[EndpointFigures, ...] = (),
) -> RunSummary:
    """Summarise `run`, whose best playbook is `version`."""
    stored = store.run(run)
    usage, by_tier = store.usage_by_role(run), store.usage_by_tier(run)
    tokens: dict[str, RoleTokens] = {role: RoleTokens.of(total.usage) for role, total in usage.items()}
    outcomes = [outcome for outcome in store.outcomes(run) if outcome.retried_in is None]
    evaluations = {evaluation.label: evaluation for evaluation in store.evaluations(run)}
    before, after = evaluations.get("before"), evaluations.get("after")
    prompt = sum(t.prompt for t in tokens.values())
    batches = store.batches(run)
    later = batches[len(batches) // 2 :]
    later_prompt = sum(batch.prompt_tokens for batch in later)
    first_right = sum(outcome.first_correct is True for outcome in outcomes)
    return RunSummary(
        run=run,
        status=status,
        mode=str(stored.settings["mode"]),
        provider=provider,
        model=model,
        samples=len(outcomes),
        failed_samples=sum(o.status == "failed" for o in outcomes) + sum(e.failed for e in evaluations.values()),
        accuracy_before=before.accuracy if before else None,
        accuracy_after=after.accuracy if after else None,
        accuracy_online=first_right / len(outcomes) if outcomes and stored.settings["mode"] == "online" else None,
        evaluated_samples=after.n if after else 0,
        engine_start_s=round(timing.engine_start_s, 3),
        adapt_s=round(timing.adapt_s, 3),
        engine_s=None if timing.engine_s is None else round(timing.engine_s, 3),
        evaluate_s=round(timing.evaluate_s, 3),
        wall_s=round(timing.wall_s, 3),
        prefix_cache_hit_rate=sum(t.cached for t in tokens.values()) / prompt if prompt else None,
        second_half_hit_rate=sum(b.cached_tokens for b in later) / later_prompt if later_prompt else None,
        calls={role: usage[role].calls if role in usage else 0 for role in ROLES},
        cache_hits=sum(total.from_cache for total in usage.values()),
        stops=dict(sorted(Counter(o.stop for o in outcomes if o.stop is not None).items())),
        tokens=tokens,
        parse_failures=sum(total.parse_failures for total in usage.values()),
        playbook_version=version,
        playbook_bullets=len(store.playbook(run, version)),
        metrics={label: dict(done.metrics) for label, done in evaluations.items() if done.metrics},
        models=_models(stored.settings["roles"], by_tier),
        escalations=_escalations(by_tier),
        engines=engines,
        failures=count_failures(store.errors(run)),
        notes=stored.notes,
        reason=reason,
        endpoints=endpoints,
    )


UsageByTier = Mapping[tuple[RoleName, str | None], RoleUsage]
"""Usage by role and reason of escalation; None for the role's own model."""


def _models(roles: Mapping[str, Any], by_tier: UsageByTier) -> dict[str, dict[str, int]]:
    calls: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for (role, escalation), usage in by_tier.items():
        settings = roles[role] if escalation is None else roles[role]["escalate"]
        calls[role][settings["model"]] += usage.calls
    return {role: dict(sorted(by_model.items())) for role, by_model in calls.items()}


def _escalations(by_tier: UsageByTier) -> dict[str, dict[str, int]]:
    """Escalated calls, and those that the completion cache answered, by role and reason."""
    reasons: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for (role, escalation), usage in by_tier.items():
        if escalation is not None:
            reasons[role][escalation] = usage.calls + usage.from_cache
    return dict(reasons)
