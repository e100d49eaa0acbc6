"""The summary of a run: counts from the store, times and engines from the process that ran it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from ace.store import RoleUsage, RunStore
from ace.types import ROLES, RoleName, Usage


@dataclass(frozen=True, slots=True)
class RoleTokens:
    """Tokens of one role's calls, as the engine counted them; for the last three see `ace.types.Usage`."""

    prompt: int
    cached: int
    completion: int
    drafted: int = 0
    accepted: int = 0
    draft_steps: int = 0

    @classmethod
    def of(cls, usage: Usage) -> Self:
        """The tokens of `usage`."""
        return cls(
            usage.prompt_tokens,
            usage.cached_tokens,
            usage.completion_tokens,
            usage.drafted_tokens,
            usage.accepted_tokens,
            usage.draft_steps,
        )

    @property
    def cache_hit_rate(self) -> float | None:
        """Share of the prompt tokens that came from the prefix cache; None without prompt tokens."""
        return self.cached / self.prompt if self.prompt else None

    @property
    def acceptance_rate(self) -> float | None:
        """Share of the drafted tokens that the model took; None where nothing was drafted."""
        return self.accepted / self.drafted if self.drafted else None

    @property
    def accepted_length(self) -> float | None:
        """Mean tokens that a step with a draft brought, the model's own one included, as vLLM counts them."""
        return 1 + self.accepted / self.draft_steps if self.draft_steps else None


@dataclass(frozen=True, slots=True)
class Timing:
    """Wall-clock seconds of one process: the engine's start, adaptation with validation, evaluations, and all of it.

    `engine_s` are those of the adaptation in which an engine was stepping, None where that is not measured.
    """

    engine_start_s: float = 0.0
    adapt_s: float = 0.0
    engine_s: float | None = None
    evaluate_s: float = 0.0
    wall_s: float = 0.0


@dataclass(frozen=True, slots=True)
class RunSummary:
    """The outcome of a run. Accuracies are shares of all samples: a failed sample counts as not right.

    `samples` counts the samples worked off in batches; `accuracy_online` is the share of first answers that were right
    before their window was learned from. `calls` and `tokens` are the engines'; `cache_hits` counts what the completion
    cache answered instead; `second_half_hit_rate` is the prefix cache's in the second half of the batches, when the
    playbook has grown; `metrics` are the task's own numbers, by evaluation; `stops` counts why reflecting on a
    sample ended, `models` the calls of each role by the model (a key of `models`) that answered, `escalations` why a
    role's larger model was asked; `engines` says of each model's engine why it is what it is, with what `auto` settings
    came to. `engine_s` are the seconds of the adaptation in which an engine of this process was
    stepping. Rates, accuracies and `engine_s` are None where nothing was measured.
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

    @property
    def outside_engine(self) -> float | None:
        """Share of the adaptation in which no engine was stepping."""
        return outside_engine(self.engine_s, self.adapt_s)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, one key a field."""
        return asdict(self)


def outside_engine(engine_s: float | None, adapt_s: float) -> float | None:
    """Share of `adapt_s` that is not in `engine_s`: our own work and its waiting. None where nothing was measured."""
    if engine_s is None or adapt_s <= 0:
        return None
    return max(0.0, 1.0 - engine_s / adapt_s)


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
) -> RunSummary:
    """Count up run `run`, whose best playbook is `version`."""
    known = store.run(run)
    used, tiers = store.usage_by_role(run), store.usage_by_tier(run)
    tokens: dict[str, RoleTokens] = {role: RoleTokens.of(total.usage) for role, total in used.items()}
    outcomes = store.outcomes(run)
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
        mode=str(known.settings["mode"]),
        provider=provider,
        model=model,
        samples=len(outcomes),
        failed_samples=sum(o.status == "failed" for o in outcomes) + sum(e.failed for e in evaluations.values()),
        accuracy_before=before.accuracy if before else None,
        accuracy_after=after.accuracy if after else None,
        accuracy_online=first_right / len(outcomes) if outcomes and known.settings["mode"] == "online" else None,
        evaluated_samples=after.n if after else 0,
        engine_start_s=round(timing.engine_start_s, 3),
        adapt_s=round(timing.adapt_s, 3),
        engine_s=None if timing.engine_s is None else round(timing.engine_s, 3),
        evaluate_s=round(timing.evaluate_s, 3),
        wall_s=round(timing.wall_s, 3),
        prefix_cache_hit_rate=sum(t.cached for t in tokens.values()) / prompt if prompt else None,
        second_half_hit_rate=sum(b.cached_tokens for b in later) / later_prompt if later_prompt else None,
        calls={role: used[role].calls if role in used else 0 for role in ROLES},
        cache_hits=sum(total.from_cache for total in used.values()),
        stops=dict(sorted(Counter(o.stop for o in outcomes if o.stop is not None).items())),
        tokens=tokens,
        parse_failures=sum(total.parse_failures for total in used.values()),
        playbook_version=version,
        playbook_bullets=len(store.playbook(run, version)),
        metrics={label: dict(known.metrics) for label, known in evaluations.items() if known.metrics},
        models=_models(known.settings["roles"], tiers),
        escalations=_escalations(tiers),
        engines=engines,
    )


Tiers = Mapping[tuple[RoleName, str | None], RoleUsage]


def _models(roles: Mapping[str, Any], tiers: Tiers) -> dict[str, dict[str, int]]:
    asked: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for (role, why), used in tiers.items():
        settings = roles[role] if why is None else roles[role]["escalate"]
        asked[role][settings["model"]] += used.calls
    return {role: dict(sorted(counted.items())) for role, counted in asked.items()}


def _escalations(tiers: Tiers) -> dict[str, dict[str, int]]:
    """Asked or answered by the completion cache, by role and reason."""
    reasons: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for (role, why), used in tiers.items():
        if why is not None:
            reasons[role][why] = used.calls + used.from_cache
    return dict(reasons)
