"""The plan of a run: its time, tokens, money and bottleneck."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from itertools import accumulate
from typing import Any

from ace.bench.planning.engine_speed import EngineSpeed
from ace.bench.planning.pilot import Chain, Pilot, PlannedCall
from ace.bench.planning.scheduler_simulation import Spent, simulate_endpoint, simulate_engines
from ace.bench.planning.workload import Workload
from ace.config import PriceSettings, RunSettings
from ace.engine.loop.schedule import AUTO_FIRST, AUTO_MOST
from ace.types import ROLES

SIMULATED = 64
"""Batches that are simulated; the others are like the nearest of them."""
LARGER = 4
"""The alternative to a plan's batch size and number of engines: so many times as many."""


@dataclass(frozen=True, slots=True)
class RunPlan:
    """Expectations of a run over `samples`, in wall-clock seconds.

    `money` is None without prices, and `gpu_hours` without the price of one. `computed_tokens` are those of prompts
    that no cache serves. `shares` are parts of the adaptation's time. `alternatives` are the seconds of the adaptation
    with other settings, which are named. `growing` says that the pilot's playbook was still growing at its end: what
    comes after it is extrapolated.
    """

    samples: int
    batches: int
    batch_size: int
    engines: int
    adapt_s: float
    evaluate_s: float
    calls: dict[str, int]
    prompt_tokens: dict[str, int]
    computed_tokens: dict[str, int]
    answer_tokens: dict[str, int]
    money: float | None
    gpu_hours: float | None
    shares: dict[str, float]
    alternatives: dict[str, float]
    bullets: int
    growing: bool
    pilot: str
    pilot_samples: int
    source: str

    @property
    def bottleneck(self) -> str:
        """The part that takes most of the adaptation's time."""
        return max(self.shares, key=lambda name: self.shares[name])

    @property
    def wall_s(self) -> float:
        """Adaptation and evaluations."""
        return self.adapt_s + self.evaluate_s

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, one key for each field, and the bottleneck."""
        return {**asdict(self), "bottleneck": self.bottleneck}


def plan_run(
    settings: RunSettings, pilot: Pilot, speed: EngineSpeed | None, samples: int, *, gpu_hour: float | None = None
) -> RunPlan:
    """Simulate adaptation over `samples` in each epoch, and the evaluations of the pilot's size.

    `speed` None is an endpoint: calls take as long as in the pilot, `max_concurrency` of them at once. Money is by the
    models' prices, or by that of a GPU's hour (`gpu_hour`). The roles are taken to share the generator's model, and
    batches not to overlap.
    """
    simulated = _simulate(settings, pilot, speed, samples)
    adapt_s, calls, factor = simulated.adapt_s, simulated.calls, simulated.factor
    workload = Workload(pilot, settings)
    evaluate_s = sum(_seconds(settings, speed, chains) for chains in workload.evaluations(simulated.trained))
    totals = {name: _scaled(_total(calls, name), factor) for name in ("prompt", "computed", "answer")}
    model = settings.models[settings.roles.generator.model]
    gpu_s = (adapt_s + evaluate_s) * (0 if speed is None else speed.engines * model.gpus_per_engine)
    curve = pilot.curve
    return RunPlan(
        samples=samples,
        batches=simulated.batches,
        batch_size=simulated.batch_size,
        engines=1 if speed is None else speed.engines,
        adapt_s=adapt_s,
        evaluate_s=evaluate_s,
        calls=_scaled(Counter(call.role for call in calls), factor),
        prompt_tokens=totals["prompt"],
        computed_tokens=totals["computed"],
        answer_tokens=totals["answer"],
        money=_money(settings, totals) if gpu_hour is None else gpu_hour * gpu_s / 3600,
        gpu_hours=None if gpu_hour is None else gpu_s / 3600,
        shares={"waiting for the endpoint": 1.0} if speed is None else _shares(simulated.spent, adapt_s),
        alternatives=_alternatives(settings, pilot, speed, samples),
        bullets=curve.gained(simulated.trained),
        growing=curve.gained(len(pilot.samples)) < 0.8 * curve.gained(simulated.trained),
        pilot=pilot.run,
        pilot_samples=len(pilot.samples),
        source="calls as long as in the pilot" if speed is None else speed.source,
    )


def replay_run(pilot: Pilot, speed: EngineSpeed) -> float:
    """Simulate the calls that a run made, and return the engine's seconds: what is wrong with them is the speed."""
    seconds, before = 0.0, -pilot.prefix
    for batch in pilot.batches:
        samples: list[Chain] = [pilot.with_bullets(sample.calls, batch.gained) for sample in batch.samples]
        prefix, before = batch.gained - before, batch.gained
        shared = [pilot.with_bullets((call,), batch.gained) for call in batch.joint]
        curators = [pilot.with_bullets((call,), batch.gained) for call in batch.curators]
        seconds += simulate_engines(speed, samples, prefix=max(0, prefix)).seconds
        seconds += simulate_engines(speed, shared).seconds + simulate_engines(speed, curators).seconds
    return seconds


@dataclass(frozen=True, slots=True)
class _Simulated:
    """The batches that were simulated. All of them are `factor` times as many; `trained` samples, epochs counted."""

    adapt_s: float
    spent: Spent
    calls: list[PlannedCall]
    factor: float
    batches: int
    batch_size: int
    trained: int


def _simulate(settings: RunSettings, pilot: Pilot, speed: EngineSpeed | None, samples: int) -> _Simulated:
    rng, workload = random.Random(settings.seed), Workload(pilot, settings)
    sizes = _batch_sizes(settings, samples)
    starts = [0, *accumulate(sizes)]
    drawn = min(len(sizes), SIMULATED)
    chosen = [number * len(sizes) // drawn for number in range(drawn)]
    calls: list[PlannedCall] = []
    spent, seconds = Spent(), 0.0
    for number in chosen:
        work = workload.batch(starts[number], sizes[number], rng, before=starts[max(0, number - 1)])
        calls += work.calls
        for place, stage in enumerate(work.stages):
            if speed is None:
                seconds += simulate_endpoint(_concurrency(settings), stage)
            else:
                spent += simulate_engines(speed, stage, prefix=0 if place else work.prefix)
    factor = starts[-1] / sum(sizes[number] for number in chosen)
    spent = spent.times(factor)
    if speed is not None:
        seconds = spent.seconds + pilot.outside(len(sizes), round(len(calls) * factor))
    else:
        seconds *= factor
    return _Simulated(seconds, spent, calls, factor, len(sizes), max(sizes), starts[-1])


def _seconds(settings: RunSettings, speed: EngineSpeed | None, chains: Any) -> float:
    if speed is None:
        return simulate_endpoint(_concurrency(settings), chains)
    return simulate_engines(speed, chains).seconds


def _alternatives(settings: RunSettings, pilot: Pilot, speed: EngineSpeed | None, samples: int) -> dict[str, float]:
    """Seconds with larger batches, and with more engines."""
    size = settings.adaptation.batch_size
    alternatives: dict[str, float] = {}
    if size != "auto" and size * LARGER <= samples:
        adaptation = settings.adaptation.model_copy(update={"batch_size": size * LARGER})
        larger = settings.model_copy(update={"adaptation": adaptation})
        alternatives[f"batches of {size * LARGER}"] = _simulate(larger, pilot, speed, samples).adapt_s
    if speed is not None:
        more = replace(speed, engines=speed.engines * LARGER)
        alternatives[f"{more.engines} engines"] = _simulate(settings, pilot, more, samples).adapt_s
    return alternatives


def _batch_sizes(settings: RunSettings, samples: int) -> list[int]:
    """Sizes of the batches of all epochs, in order."""
    size = settings.adaptation.batch_size
    sizes: list[int] = []
    for _ in range(1 if settings.mode == "online" else settings.adaptation.epochs):
        left = samples
        while left > 0:
            most = min(AUTO_FIRST << min(len(sizes), 8), AUTO_MOST) if size == "auto" else size
            sizes.append(min(left, most))
            left -= sizes[-1]
    return sizes


def _concurrency(settings: RunSettings) -> int:
    return settings.models[settings.roles.generator.model].max_concurrency


def _total(calls: Iterable[PlannedCall], name: str) -> Counter[str]:
    total: Counter[str] = Counter()
    for call in calls:
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
        "reading the weights once a step": spent.steps_s * rest / adapt_s,
        "decoding several answers at once": spent.answers_s * rest / adapt_s,
        "reading prompts": (spent.prompts_s + spent.requests_s) / adapt_s,
        "waiting for the last answers of a batch": spent.tail_s / adapt_s,
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
