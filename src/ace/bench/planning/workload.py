"""The work of a run, drawn from a pilot: which calls a batch makes, and of which size."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from ace.bench.planning.learning_curve import fit_line
from ace.bench.planning.pilot import Chain, Pilot, PilotSample, PlannedCall, with_bullets
from ace.config import RunSettings
from ace.engine.learning.curation import split_groups


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
    """Calls that serve several samples: their tokens grow with the number of samples a call."""

    role: str
    seconds: float
    cached: float
    prompt: tuple[float, float]
    answer: tuple[float, float]

    @classmethod
    def fit(cls, calls: Sequence[tuple[float, PlannedCall]]) -> _SharedCalls | None:
        """Fit to calls, each with the number of samples that it serves. None without calls."""
        if not calls:
            return None
        samples = [served for served, _ in calls]
        return cls(
            role=calls[0][1].role,
            seconds=statistics.fmean(call.seconds for _, call in calls),
            cached=statistics.median(call.prompt - call.computed for _, call in calls),
            prompt=fit_line(samples, [call.prompt for _, call in calls]),
            answer=fit_line(samples, [call.answer for _, call in calls]),
        )

    def call(self, samples: float, most: int) -> PlannedCall:
        """One that serves so many samples, with an answer of `most` tokens at most."""
        prompt = self.prompt[0] + self.prompt[1] * samples
        answer = min(float(most), self.answer[0] + self.answer[1] * samples)
        return PlannedCall(
            self.role, round(prompt), max(1, round(prompt - self.cached)), max(1, round(answer)), self.seconds
        )


class Workload:
    """Draws the batches of a run with `settings` that behaves as `pilot` did."""

    def __init__(self, pilot: Pilot, settings: RunSettings) -> None:
        self.pilot, self._settings = pilot, settings
        self._wrong = [sample for sample in pilot.samples if sample.wrong]
        self._right = [sample for sample in pilot.samples if not sample.wrong]
        self._curators = _SharedCalls.fit(
            [(batch.lessons / len(batch.curators), call) for batch in pilot.batches for call in batch.curators]
        )
        self._joint = _SharedCalls.fit(
            [(batch.wrong / len(batch.joint), call) for batch in pilot.batches for call in batch.joint]
        )

    def batch(self, start: int, size: int, rng: random.Random, *, before: int) -> BatchWork:
        """Draw a batch of `size` samples that `start` samples came before, and `before` came before the last batch."""
        curve = self.pilot.curve
        share = curve.wrong(start)
        samples = [self._draw(share, rng) for _ in range(size)]
        playbook = curve.playbook(start)
        prefix = playbook - curve.playbook(before) if start else self.pilot.prefix
        stages: list[Sequence[Chain]] = [
            [with_bullets(sample.calls, playbook) for sample in samples],
            self._joint_calls(sum(sample.wrong for sample in samples), playbook),
            self._curations(sum(sample.insight for sample in samples), playbook),
        ]
        return BatchWork(tuple(stage for stage in stages if stage), max(0, prefix))

    def evaluations(self, samples: int) -> list[Sequence[Chain]]:
        """The pilot's evaluations, those but the first one with the playbook after `samples` samples."""
        playbook = self.pilot.curve.playbook(samples)
        return [
            [with_bullets(chain, 0 if label == "before" else playbook) for chain in chains]
            for label, chains in self.pilot.evaluations
        ]

    def _draw(self, wrong: float, rng: random.Random) -> PilotSample:
        chosen = self._wrong if rng.random() < wrong else self._right
        return rng.choice(chosen or self._wrong or self._right)

    def _joint_calls(self, wrong: int, playbook: int) -> list[Chain]:
        """Reflections on several samples: as many samples a call as the settings allow, and the pilot's targets."""
        if self._joint is None or not wrong:
            return []
        most = self._settings.adaptation.reflect_together
        targets = max(len(batch.joint) for batch in self.pilot.batches)
        count = max(min(wrong, targets), -(-wrong // most))
        call = self._joint.call(wrong / count, self._settings.roles.reflector.max_tokens)
        return [with_bullets((call,), playbook)] * count

    def _curations(self, lessons: int, playbook: int) -> list[Chain]:
        if self._curators is None or not lessons:
            return []
        groups = split_groups(range(lessons), self._settings.adaptation.curator_groups)
        most = self._settings.roles.curator.max_tokens
        return [with_bullets((self._curators.call(len(group), most),), playbook) for group in groups]
