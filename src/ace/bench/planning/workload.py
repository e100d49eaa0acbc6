"""The work of a run, drawn from a pilot: which calls a batch makes, and of which size."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from ace.bench.planning.learning_curve import fit_line
from ace.bench.planning.pilot import Chain, Pilot, PilotSample, PlannedCall
from ace.config import RunSettings
from ace.engine.learning.curation import split_groups

NEAR = 0.1
"""Of the way of the playbook's growth: samples within it are drawn alike."""


@dataclass(frozen=True, slots=True)
class BatchWork:
    """The calls of a batch, in stages that follow each other. `prefix` tokens are new in the shared beginning."""

    stages: tuple[Sequence[Chain], ...]
    prefix: int

    @property
    def calls(self) -> list[PlannedCall]:
        """Those of all stages."""
        return [call for stage in self.stages for chain in stage for call in chain]


@dataclass(frozen=True, slots=True)
class _SharedCalls:
    """Calls that serve several samples: their tokens grow with the `load` that those put on them.

    Where the pilot's loads hardly differ, answers are taken to be proportional to them, and half of the prompts.
    """

    role: str
    seconds: float
    cached: float
    prompt: tuple[float, float]
    answer: tuple[float, float]

    @classmethod
    def fit(cls, calls: Sequence[tuple[float, PlannedCall]]) -> _SharedCalls | None:
        """Fit to calls, each with its load. None without calls."""
        if not calls:
            return None
        loads = [load for load, _ in calls]
        return cls(
            role=calls[0][1].role,
            seconds=statistics.fmean(call.seconds for _, call in calls),
            cached=statistics.median(call.prompt - call.computed for _, call in calls),
            prompt=fit_line(loads, [call.prompt for _, call in calls], growing=0.5),
            answer=fit_line(loads, [call.answer for _, call in calls], growing=1.0),
        )

    def call(self, load: float, most: int) -> PlannedCall:
        """One with this load, and an answer of `most` tokens at most."""
        prompt = self.prompt[0] + self.prompt[1] * load
        answer = min(float(most), self.answer[0] + self.answer[1] * load)
        return PlannedCall(
            self.role, round(prompt), max(1, round(prompt - self.cached)), max(1, round(answer)), self.seconds
        )


class Workload:
    """Draws the batches of a run with `settings` that behaves as `pilot` did.

    The load of a curator is the characters of its group's insights, that of a joint reflection its samples.
    """

    def __init__(self, pilot: Pilot, settings: RunSettings) -> None:
        self.pilot, self._settings = pilot, settings
        self._samples = [(pilot.curve.progress(batch.start), one) for batch in pilot.batches for one in batch.samples]
        self._curators = _SharedCalls.fit(
            [
                (sum(group), call)
                for batch in pilot.batches
                for group, call in zip(
                    split_groups(batch.insights, max(1, len(batch.curators))), batch.curators, strict=False
                )
            ]
        )
        self._joint = _SharedCalls.fit(
            [(batch.wrong / len(batch.joint), call) for batch in pilot.batches for call in batch.joint]
        )

    def batch(self, start: int, size: int, rng: random.Random, *, before: int) -> BatchWork:
        """Draw a batch of `size` samples that `start` samples came before, and `before` came before the last batch."""
        curve = self.pilot.curve
        samples = self._draw(start, size, rng)
        playbook = curve.playbook(start)
        prefix = playbook - curve.playbook(before) if start else self.pilot.prefix
        stages: list[Sequence[Chain]] = [
            [self.pilot.with_bullets(sample.calls, playbook) for sample in samples],
            self._joint_calls(sum(sample.wrong for sample in samples), playbook),
            self._curations([sample.insight for sample in samples if sample.insight], playbook),
        ]
        return BatchWork(tuple(stage for stage in stages if stage), max(0, prefix))

    def evaluations(self, samples: int) -> list[Sequence[Chain]]:
        """The pilot's evaluations, those but the first one with the playbook after `samples` samples."""
        playbook = self.pilot.curve.playbook(samples)
        return [
            [self.pilot.with_bullets(chain, 0 if label == "before" else playbook) for chain in chains]
            for label, chains in self.pilot.evaluations
        ]

    def _draw(self, start: int, size: int, rng: random.Random) -> list[PilotSample]:
        """Samples that are wrong as often as the curve says, rather those that had as much playbook behind them."""
        curve = self.pilot.curve
        here = curve.progress(start)
        drawn = []
        for _ in range(size):
            wrong = rng.random() < curve.wrong(start)
            candidates = [each for each in self._samples if each[1].wrong == wrong] or self._samples
            weights = [1 / (NEAR + abs(there - here)) for there, _ in candidates]
            drawn.append(rng.choices(candidates, weights)[0][1])
        return drawn

    def _joint_calls(self, wrong: int, playbook: int) -> list[Chain]:
        """Reflections on several samples: as many samples a call as the settings allow, and the pilot's targets."""
        if self._joint is None or not wrong:
            return []
        most = self._settings.adaptation.reflect_together
        targets = max(len(batch.joint) for batch in self.pilot.batches)
        count = max(min(wrong, targets), -(-wrong // most))
        call = self._joint.call(wrong / count, self._settings.roles.reflector.max_tokens)
        return [self.pilot.with_bullets((call,), playbook)] * count

    def _curations(self, insights: Sequence[int], playbook: int) -> list[Chain]:
        if self._curators is None:
            return []
        most = self._settings.roles.curator.max_tokens
        return [
            self.pilot.with_bullets((self._curators.call(sum(group), most),), playbook)
            for group in split_groups(insights, self._settings.adaptation.curator_groups)
        ]
