"""A pilot run, as plans need it: the calls of its samples, its curators and its evaluations."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ace.bench.planning.learning_curve import LearningCurve, fit_line
from ace.errors import DataError, ParseError
from ace.roles import CallRecord, Reflection, parse
from ace.store import RunReader


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """One call: tokens of the prompt, `computed` ones that no cache served, tokens of the answer, and its seconds."""

    role: str
    prompt: int
    computed: int
    answer: int
    seconds: float


Chain = tuple[PlannedCall, ...]
"""Calls that follow each other, such as those of a sample."""


@dataclass(frozen=True, slots=True)
class PilotSample:
    """The calls of a sample, whether its first answer was wrong, and the tokens of the reflection that is curated."""

    calls: Chain
    wrong: bool
    insight: int


@dataclass(frozen=True, slots=True)
class PilotBatch:
    """A batch, and the calls that serve several of its samples, in the order of their groups.

    `start` samples came before it, from which the run had gained bullets of `gained` tokens.
    """

    start: int
    samples: tuple[PilotSample, ...]
    joint: Chain
    curators: Chain
    gained: int

    @property
    def insights(self) -> list[int]:
        """The tokens of the reflections that are curated."""
        return [sample.insight for sample in self.samples if sample.insight]

    @property
    def wrong(self) -> int:
        """Samples whose first answer was wrong."""
        return sum(sample.wrong for sample in self.samples)


@dataclass(frozen=True, slots=True)
class Pilot:
    """A run that adapted on a few samples.

    Prompts are without the bullets that the run had gained, whose tokens `curve` gives for any number of samples.
    `prefix` is the shared beginning of the first prompts, which the cache served; 0 without a cache. `outside_s` are
    the seconds of each call in which no engine was stepping, None where that was not measured.
    """

    run: str
    batches: tuple[PilotBatch, ...]
    evaluations: tuple[tuple[str, tuple[Chain, ...]], ...]
    curve: LearningCurve
    prefix: int
    outside_s: float | None

    @classmethod
    def of(cls, store: RunReader, run: str) -> Pilot:
        """Read a run. DataError for one that has adapted on nothing."""
        bullets = {info.batch: info.bullets for info in store.playbook_versions(run)}
        by_version = {info.version: info.bullets for info in store.playbook_versions(run)}
        batches = store.batches(run)
        calls = [_answered(store.calls(run, batch=batch.index)) for batch in batches]
        if not any(calls):
            raise DataError(f"run {run} has no calls to plan by", hint="ace run CONFIG, on a few samples")
        evaluations = store.evaluations(run)
        evaluated = [_answered(store.calls(run, evaluation=evaluation.index)) for evaluation in evaluations]
        before = [bullets.get(batch.index - 1 if batch.index else None, 0) for batch in batches]
        seen = [*zip(before, calls, strict=True)]
        seen += [(by_version[e.playbook_version], answers) for e, answers in zip(evaluations, evaluated, strict=True)]
        firsts = [(count, _first_prompt(answers)) for count, answers in seen if _first_prompt(answers)]
        _, bullet_tokens = fit_line([count for count, _ in firsts], [tokens for _, tokens in firsts])
        initial = bullets[None]
        starts = [sum(batch.samples for batch in batches[:number]) for number in range(len(batches) + 1)]
        read = tuple(
            _batch(
                start,
                answers,
                {outcome.sample_id for outcome in store.outcomes(run, batch=batch.index) if not outcome.first_correct},
                round(bullet_tokens * (count - initial)),
            )
            for start, batch, count, answers in zip(starts, batches, before, calls, strict=False)
        )
        gained = [(starts[n + 1], bullets[batch.index] - initial) for n, batch in enumerate(batches)]
        wrong = [(one.start, batch.samples, one.wrong) for batch, one in zip(batches, read, strict=True)]
        return cls(
            run=run,
            batches=read,
            evaluations=tuple(
                (
                    evaluation.label,
                    _chains(answers, round(bullet_tokens * (by_version[evaluation.playbook_version] - initial))),
                )
                for evaluation, answers in zip(evaluations, evaluated, strict=True)
            ),
            curve=LearningCurve.fit(gained, wrong, bullet_tokens),
            prefix=_shared(calls[0]),
            outside_s=_outside(store, run, sum(map(len, calls))),
        )

    def with_bullets(self, chain: Chain, tokens: int) -> Chain:
        """The same calls behind a playbook that has gained so many tokens. The cache serves them, if there is one."""
        computed = 0 if self.prefix else tokens
        return tuple(replace(call, prompt=call.prompt + tokens, computed=call.computed + computed) for call in chain)

    @property
    def samples(self) -> tuple[PilotSample, ...]:
        """Those of all batches."""
        return tuple(sample for batch in self.batches for sample in batch.samples)


def _outside(store: RunReader, run: str, calls: int) -> float | None:
    summary = store.run(run).summary or {}
    if (engine_s := summary.get("engine_s")) is None:
        return None
    validated = sum(one.n for one in store.evaluations(run) if one.label == "validation")
    return max(0.0, float(summary.get("adapt_s") or 0.0) - float(engine_s)) / (calls + validated)


def _answered(calls: Iterable[CallRecord]) -> list[CallRecord]:
    """Those that an engine answered."""
    return [call for call in calls if not call.from_cache]


def _first_prompt(calls: Sequence[CallRecord]) -> float:
    """Mean tokens of the prompts of first answers, 0 without any."""
    firsts = [call.usage.prompt_tokens for call in calls if call.role == "generator" and call.round == 0]
    return statistics.fmean(firsts) if firsts else 0.0


def _shared(calls: Sequence[CallRecord]) -> int:
    """Tokens of the shared beginning, in whole blocks of the cache: what the cache served of most prompts."""
    cached = [call.usage.cached_tokens for call in calls if call.role == "generator" and call.round == 0]
    return round(statistics.median(cached)) if cached else 0


def _batch(start: int, calls: Sequence[CallRecord], wrong: set[str], gained: int) -> PilotBatch:
    shared = _shared(calls)
    by_sample: defaultdict[str, list[CallRecord]] = defaultdict(list)
    for call in calls:
        if call.sample_id is not None:
            by_sample[call.sample_id].append(call)
    return PilotBatch(
        start=start,
        samples=tuple(
            PilotSample(
                tuple(_planned(call, shared, gained) for call in of_sample), sample in wrong, _insight(of_sample)
            )
            for sample, of_sample in by_sample.items()
        ),
        joint=tuple(_planned(c, shared, gained) for c in calls if c.sample_id is None and c.role == "reflector"),
        curators=tuple(_planned(c, shared, gained) for c in calls if c.sample_id is None and c.role == "curator"),
        gained=gained,
    )


def _chains(calls: Sequence[CallRecord], gained: int) -> tuple[Chain, ...]:
    return tuple(sample.calls for sample in _batch(0, calls, set(), gained).samples)


def _planned(call: CallRecord, shared: int, gained: int) -> PlannedCall:
    """A call without the bullets that were gained. What a first one computes of the shared beginning is not its own."""
    usage = call.usage
    computed = usage.prompt_tokens - max(shared, usage.cached_tokens)
    prompt = max(1, usage.prompt_tokens - gained)
    return PlannedCall(
        call.role,
        prompt,
        max(1, min(prompt, computed if shared else computed - gained)),
        usage.completion_tokens,
        usage.total_s,
    )


def _insight(calls: Sequence[CallRecord]) -> int:
    reflections = [call for call in calls if call.role == "reflector" and call.parsed]
    try:
        found = bool(reflections and parse(reflections[-1].text, Reflection).key_insight.strip())
    except ParseError:
        found = False
    return reflections[-1].usage.completion_tokens if found else 0
