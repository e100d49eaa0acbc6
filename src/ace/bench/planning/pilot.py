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
    """The calls of a sample, whether its first answer was wrong, and the characters of the insight that is curated."""

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
        """The characters of the insights that are curated."""
        return [sample.insight for sample in self.samples if sample.insight]

    @property
    def wrong(self) -> int:
        """Samples whose first answer was wrong."""
        return sum(sample.wrong for sample in self.samples)


@dataclass(frozen=True, slots=True)
class Pilot:
    """A run that adapted on a few samples.

    Prompts are without the bullets that the run had gained, whose tokens `curve` gives for any number of samples.
    `prefix` is the shared beginning of the first prompts as far as the cache served it, and `caches` says whether there
    is a cache. `outside_s` are the seconds of the adaptation in which no engine was stepping, None where that was not
    measured.
    """

    run: str
    batches: tuple[PilotBatch, ...]
    evaluations: tuple[tuple[str, tuple[Chain, ...]], ...]
    curve: LearningCurve
    prefix: int
    caches: bool
    outside_s: float | None

    @classmethod
    def of(cls, store: RunReader, run: str) -> Pilot:
        """Read a run. DataError for one that has adapted on nothing."""
        return _PilotReader(store, run).read()

    def with_bullets(self, chain: Chain, tokens: int) -> Chain:
        """The same calls behind a playbook that has gained so many tokens. The cache serves them, if there is one."""
        computed = 0 if self.caches else tokens
        return tuple(replace(call, prompt=call.prompt + tokens, computed=call.computed + computed) for call in chain)

    def outside(self, batches: int, calls: int) -> float:
        """Seconds of a run outside the engine.

        Half goes by the number of batches and half by that of calls, a rough fit to eight runs of the micro model in
        batches of 4 to 64 samples: while other sequences run, a call's own work costs no time.
        """
        if self.outside_s is None:
            return 0.0
        return self.outside_s * (batches / len(self.batches) + calls / self.calls) / 2

    @property
    def calls(self) -> int:
        """The number of calls of all batches."""
        return sum(
            sum(len(sample.calls) for sample in batch.samples) + len(batch.joint) + len(batch.curators)
            for batch in self.batches
        )

    @property
    def samples(self) -> tuple[PilotSample, ...]:
        """Those of all batches."""
        return tuple(sample for batch in self.batches for sample in batch.samples)


class _PilotReader:
    """Reads a pilot out of a store."""

    def __init__(self, store: RunReader, run: str) -> None:
        self._store, self._run = store, run
        self._infos, self._evaluated = store.batches(run), store.evaluations(run)
        self._calls = [_answered(store.calls(run, batch=info.index)) for info in self._infos]
        if not any(self._calls):
            raise DataError(f"run {run} has no calls to plan by", hint="ace run CONFIG, on a few samples")
        self._evaluation_calls = [_answered(store.calls(run, evaluation=info.index)) for info in self._evaluated]
        versions = store.playbook_versions(run)
        self._after = {info.batch: info.bullets for info in versions}
        self._by_version = {info.version: info.bullets for info in versions}
        self._initial = self._after[None]
        self._bullet_tokens = self._fit_bullets()
        self._caches = any(call.usage.cached_tokens for calls in self._calls for call in calls)

    def read(self) -> Pilot:
        batches = self._batches()
        gained = [
            (batch.start + info.samples, self._after[info.index] - self._initial)
            for info, batch in zip(self._infos, batches, strict=True)
        ]
        wrong = [(batch.start, len(batch.samples), batch.wrong) for batch in batches if batch.samples]
        ends: dict[int | None, int] = {None: 0}
        ends |= {info.index: batch.start + info.samples for info, batch in zip(self._infos, batches, strict=True)}
        wrong += [(ends[info.after_batch], info.n, info.n - info.correct) for info in self._evaluated if info.n]
        shared = [_shared(calls) - batch.gained for calls, batch in zip(self._calls, batches, strict=True)]
        evaluations = zip(self._evaluated, self._evaluation_calls, strict=True)
        return Pilot(
            run=self._run,
            batches=batches,
            evaluations=tuple(
                (info.label, _chains(calls, self._gained(self._by_version[info.playbook_version]), caches=self._caches))
                for info, calls in evaluations
            ),
            curve=LearningCurve.fit(gained, wrong, self._bullet_tokens),
            prefix=max(0, *shared),
            caches=self._caches,
            outside_s=self._outside(),
        )

    def _before(self) -> list[int]:
        """Bullets before each batch."""
        return [self._initial, *(self._after[info.index] for info in self._infos[:-1])]

    def _fit_bullets(self) -> float:
        """Tokens of a bullet, by how the prompts of first answers grow with the playbook."""
        counts = [*self._before(), *(self._by_version[info.playbook_version] for info in self._evaluated)]
        prompts = map(_first_prompt, [*self._calls, *self._evaluation_calls])
        points = [(count, tokens) for count, tokens in zip(counts, prompts, strict=True) if tokens]
        return fit_line([count for count, _ in points], [tokens for _, tokens in points])[1]

    def _gained(self, bullets: int) -> int:
        """Tokens of the bullets that the run had gained when it had so many."""
        return round(self._bullet_tokens * (bullets - self._initial))

    def _batches(self) -> tuple[PilotBatch, ...]:
        batches, start = [], 0
        for info, calls, before in zip(self._infos, self._calls, self._before(), strict=True):
            outcomes = self._store.outcomes(self._run, batch=info.index)
            wrong = {outcome.sample_id for outcome in outcomes if not outcome.first_correct}
            batches.append(_batch(start, calls, wrong, self._gained(before), caches=self._caches))
            start += info.samples
        return tuple(batches)

    def _outside(self) -> float | None:
        summary = self._store.run(self._run).summary or {}
        if (engine_s := summary.get("engine_s")) is None:
            return None
        calls = sum(map(len, self._calls)) + sum(info.n for info in self._evaluated if info.label == "validation")
        share = sum(map(len, self._calls)) / calls
        return max(0.0, float(summary.get("adapt_s") or 0.0) - float(engine_s)) * share


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


def _batch(start: int, calls: Sequence[CallRecord], wrong: set[str], gained: int, *, caches: bool) -> PilotBatch:
    shared = _shared(calls)
    by_sample: defaultdict[str, list[CallRecord]] = defaultdict(list)
    for call in calls:
        if call.sample_id is not None:
            by_sample[call.sample_id].append(call)
    return PilotBatch(
        start=start,
        samples=tuple(
            PilotSample(
                tuple(_planned(call, shared, gained, caches=caches) for call in of_sample),
                sample in wrong,
                _insight(of_sample),
            )
            for sample, of_sample in by_sample.items()
        ),
        joint=tuple(
            _planned(c, shared, gained, caches=caches) for c in calls if c.sample_id is None and c.role == "reflector"
        ),
        curators=tuple(
            _planned(c, shared, gained, caches=caches) for c in calls if c.sample_id is None and c.role == "curator"
        ),
        gained=gained,
    )


def _chains(calls: Sequence[CallRecord], gained: int, *, caches: bool) -> tuple[Chain, ...]:
    return tuple(sample.calls for sample in _batch(0, calls, set(), gained, caches=caches).samples)


def _planned(call: CallRecord, shared: int, gained: int, *, caches: bool) -> PlannedCall:
    """A call without the bullets that were gained. What a first one computes of the shared beginning is not its own."""
    usage = call.usage
    computed = usage.prompt_tokens - max(shared, usage.cached_tokens)
    prompt = max(1, usage.prompt_tokens - gained)
    return PlannedCall(
        call.role,
        prompt,
        max(1, min(prompt, computed if caches else computed - gained)),
        usage.completion_tokens,
        usage.total_s,
    )


def _insight(calls: Sequence[CallRecord]) -> int:
    reflections = [call.text for call in calls if call.role == "reflector" and call.parsed]
    try:
        return len(parse(reflections[-1], Reflection).key_insight.strip()) if reflections else 0
    except ParseError:
        return 0
