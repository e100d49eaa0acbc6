"""What a run amounts to, made from the store alone: the same numbers whoever asks, whenever."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ace.store import RunStore
from ace.types import ROLES


@dataclass(frozen=True, slots=True)
class RoleTokens:
    """Tokens of one role's calls, as the engine counted them."""

    prompt: int
    cached: int
    completion: int

    @property
    def cache_hit_rate(self) -> float | None:
        """Share of the prompt tokens that came from the prefix cache; None without prompt tokens."""
        return self.cached / self.prompt if self.prompt else None


@dataclass(frozen=True, slots=True)
class Timing:
    """Wall-clock seconds of one process: the engine's start, adaptation with validation, evaluations, and all of it."""

    engine_start_s: float = 0.0
    adapt_s: float = 0.0
    evaluate_s: float = 0.0
    wall_s: float = 0.0


@dataclass(frozen=True, slots=True)
class RunSummary:
    """The outcome of a run. Accuracies are shares of all samples: a failed sample counts as not right.

    `samples` counts the samples worked off in batches; `accuracy_online` is the share of first answers that were right
    before their window was learned from. `calls` and `tokens` are the engines'; `cache_hits` counts what the completion
    cache answered instead; `second_half_hit_rate` is the prefix cache's in the second half of the batches, when the
    playbook has grown; `metrics` are the task's own numbers, by evaluation; `stops` counts why reflecting on a
    sample ended. Rates and accuracies are None where nothing was measured.
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

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, one key a field."""
        return asdict(self)


def summarise(
    store: RunStore, run: str, *, status: str, provider: str, model: str, version: int, timing: Timing
) -> RunSummary:
    """Count up run `run`, whose best playbook is `version`."""
    known = store.run(run)
    used = store.usage_by_role(run)
    tokens: dict[str, RoleTokens] = {
        role: RoleTokens(total.usage.prompt_tokens, total.usage.cached_tokens, total.usage.completion_tokens)
        for role, total in used.items()
    }
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
    )
