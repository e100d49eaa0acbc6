"""The plan of a run: its time, tokens, money and bottleneck."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ace.bench.planning.engine_speed import EngineSpeed
from ace.bench.planning.scheduler_simulation import Spent, simulate_endpoint, simulate_engines
from ace.bench.planning.workload import Chain, Workload
from ace.config import PriceSettings, RunSettings
from ace.engine.loop.schedule import AUTO_MOST
from ace.types import ROLES

SIMULATED = 64
"""Batches that are simulated; further ones are like them."""


@dataclass(frozen=True, slots=True)
class RunPlan:
    """Expectations of a run over `samples`. Seconds and tokens are means, `money` is None without prices."""

    samples: int
    batches: int
    batch_size: int
    adapt_s: float
    evaluate_s: float
    calls: dict[str, int]
    prompt_tokens: dict[str, int]
    computed_tokens: dict[str, int]
    answer_tokens: dict[str, int]
    money: float | None
    shares: dict[str, float]
    pilot: str
    pilot_samples: int
    source: str

    @property
    def bottleneck(self) -> str:
        """The part that takes most of the adaptation's time."""
        return max(self.shares, key=lambda name: self.shares[name])

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, one key for each field, and the bottleneck."""
        return {**asdict(self), "bottleneck": self.bottleneck}


def plan_run(settings: RunSettings, workload: Workload, speed: EngineSpeed | None, samples: int) -> RunPlan:
    """Simulate adaptation over `samples` in each epoch, and the evaluations of the pilot's size.

    `speed` None is an endpoint: calls take as long as in the pilot, `max_concurrency` of them at once.
    """
    rng = random.Random(settings.seed)
    adaptation = settings.adaptation
    size = min(samples, AUTO_MOST if adaptation.batch_size == "auto" else adaptation.batch_size)
    epochs = 1 if settings.mode == "online" else adaptation.epochs
    batches = -(-samples // size) * epochs
    drawn = min(batches, SIMULATED)
    factor = samples * epochs / (size * drawn)
    calls: list[Chain] = []
    spent, seconds = Spent(), 0.0
    for number in range(drawn):
        chains, curators = workload.batch(number * size * batches // drawn, size, rng)
        calls += [*chains, *curators]
        for stage in (chains, curators):
            if speed is None:
                seconds += simulate_endpoint(_concurrency(settings), stage)
            else:
                spent += simulate_engines(speed, stage)
    spent = spent.times(factor)
    adapt_s = seconds * factor if speed is None else spent.seconds / (1 - (workload.outside or 0.0))
    evaluate_s = sum(
        simulate_endpoint(_concurrency(settings), chains) if speed is None else simulate_engines(speed, chains).seconds
        for chains in workload.evaluations
    )
    totals = {name: _scaled(_total(calls, name), factor) for name in ("prompt", "computed", "answer")}
    return RunPlan(
        samples=samples,
        batches=batches,
        batch_size=size,
        adapt_s=adapt_s,
        evaluate_s=evaluate_s,
        calls=_scaled(Counter(call.role for chain in calls for call in chain), factor),
        prompt_tokens=totals["prompt"],
        computed_tokens=totals["computed"],
        answer_tokens=totals["answer"],
        money=_money(settings, totals),
        shares={"the endpoint's answers": 1.0} if speed is None else _shares(spent, adapt_s),
        pilot=workload.pilot,
        pilot_samples=len(workload.samples),
        source="calls as long as in the pilot" if speed is None else speed.source,
    )


def _concurrency(settings: RunSettings) -> int:
    return settings.models[settings.roles.generator.model].max_concurrency


def _total(calls: Iterable[Chain], name: str) -> Counter[str]:
    total: Counter[str] = Counter()
    for chain in calls:
        for call in chain:
            total[call.role] += getattr(call, name)
    return total


def _scaled(counts: Counter[str], factor: float) -> dict[str, int]:
    return {role: round(counts[role] * factor) for role in ROLES if counts[role]}


def _shares(spent: Spent, adapt_s: float) -> dict[str, float]:
    """Shares of the adaptation's time. The tail is taken out of steps and answers, in which it is."""
    if not adapt_s:
        return {"steps": 1.0}
    rest = max(0.0, 1 - spent.tail_s / (spent.steps_s + spent.answers_s or 1.0))
    return {
        "steps (reading weights, launching)": spent.steps_s * rest / adapt_s,
        "computing prompts": spent.prompts_s / adapt_s,
        "computing answers": spent.answers_s * rest / adapt_s,
        "the end of batches, few sequences left": spent.tail_s / adapt_s,
        "outside the engine": max(0.0, 1 - spent.seconds / adapt_s),
    }


def _money(settings: RunSettings, totals: dict[str, dict[str, int]]) -> float | None:
    """The price of all calls, at the prices of the roles' own models. None where one has none."""
    money = 0.0
    for role in ROLES:
        price = settings.models[settings.roles.of(role).model].price
        if price is None:
            return None
        money += _price(price, *(totals[name].get(role, 0) for name in ("prompt", "computed", "answer")))
    return money


def _price(price: PriceSettings, prompt: int, computed: int, answer: int) -> float:
    cached = price.input if price.cached is None else price.cached
    return (price.input * computed + cached * (prompt - computed) + price.output * answer) / 1e6


def plan_rows(plan: RunPlan) -> Sequence[tuple[str, str]]:
    """The plan in words, for a table."""
    totals = [f"{sum(tokens.values()):,}" for tokens in (plan.prompt_tokens, plan.computed_tokens, plan.answer_tokens)]
    shares = sorted(plan.shares.items(), key=lambda item: -item[1])
    return [
        ("adaptation", f"{_duration(plan.adapt_s)} for {plan.samples:,} samples, {plan.batches:,} batches"),
        ("evaluations of the pilot", _duration(plan.evaluate_s)),
        ("calls", ", ".join(f"{count:,} {role}" for role, count in plan.calls.items())),
        ("tokens", f"{totals[0]} in prompts, of which {totals[1]} are computed; {totals[2]} in answers"),
        ("money", "no prices in the config" if plan.money is None else f"{plan.money:,.2f}"),
        ("bottleneck", f"{plan.bottleneck}, {plan.shares[plan.bottleneck]:.0%} of the time"),
        ("time by part", ", ".join(f"{name} {share:.0%}" for name, share in shares if share >= 0.01)),
        ("from", f"pilot {plan.pilot} with {plan.pilot_samples} samples; engine: {plan.source}"),
    ]


def _duration(seconds: float) -> str:
    """`3.2 s`, `12.0 min`, `5.1 h`."""
    for unit, size in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"
