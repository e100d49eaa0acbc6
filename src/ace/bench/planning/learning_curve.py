"""Curves that are fitted to a pilot run: the growth of its playbook, and its wrong first answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

SCALES = tuple(2.0 ** (power / 4) for power in range(0, 81))
"""Samples after which the curves have gone 63% of their way: 1 to a million, of which one is chosen."""


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """By the number of samples that came before: bullets gained, their tokens, and the share of wrong first answers.

    Both approach their ends exponentially, with the same `scale` in samples: what is found once is not found again.
    """

    scale: float
    bullets: float
    bullet_tokens: float
    wrong_first: float
    wrong_last: float

    @classmethod
    def fit(
        cls, gained: Sequence[tuple[int, int]], wrong: Sequence[tuple[int, int, int]], bullet_tokens: float
    ) -> LearningCurve:
        """Fit to (samples, bullets gained) and to (samples before, size, wrong ones) of each batch.

        The growth decides the scale, by least squares; where nothing grew, the wrong answers do.
        """
        grew = any(bullets for _, bullets in gained)
        errors = []
        for scale in SCALES:
            bullets, growth_error = _fit_growth(gained, scale)
            first, last, wrong_error = _fit_wrong(wrong, scale)
            errors.append((growth_error if grew else wrong_error, scale, bullets, first, last))
        _, scale, bullets, first, last = min(errors)
        return cls(scale, bullets, bullet_tokens, first, last)

    def progress(self, samples: int) -> float:
        """The share of the way that `samples` samples have gone."""
        return -math.expm1(-samples / self.scale)

    def gained(self, samples: int) -> int:
        """Bullets that `samples` samples have added."""
        return round(self.bullets * self.progress(samples))

    def playbook(self, samples: int) -> int:
        """Tokens of those bullets."""
        return round(self.bullets * self.bullet_tokens * self.progress(samples))

    def wrong(self, samples: int) -> float:
        """Share of wrong first answers after `samples` samples."""
        return self.wrong_last + (self.wrong_first - self.wrong_last) * (1 - self.progress(samples))


def fit_line(xs: Sequence[float], ys: Sequence[float]) -> tuple[float, float]:
    """Intercept and slope by least squares, neither below 0. Flat where all `xs` are the same."""
    mean_x, mean_y = fmean(xs), fmean(ys)
    spread = sum((x - mean_x) ** 2 for x in xs)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / spread if spread else 0.0
    slope = max(0.0, min(slope, mean_y / mean_x if mean_x else 0.0))
    return mean_y - slope * mean_x, slope


def _fit_growth(gained: Sequence[tuple[int, int]], scale: float) -> tuple[float, float]:
    """The bullets in the end, and the squared error."""
    shares = [-math.expm1(-samples / scale) for samples, _ in gained]
    square = sum(share * share for share in shares)
    end = max(0.0, sum(s * bullets for s, (_, bullets) in zip(shares, gained, strict=True)) / square) if square else 0.0
    return end, sum((bullets - end * s) ** 2 for s, (_, bullets) in zip(shares, gained, strict=True))


def _fit_wrong(batches: Sequence[tuple[int, int, int]], scale: float) -> tuple[float, float, float]:
    """Shares at the first sample and in the end, both from 0 to 1, and the squared error; batches weigh by size."""
    weight = sum(size for _, size, _ in batches)
    decays = [math.exp(-before / scale) for before, _, _ in batches]
    mean_x = sum(size * decay for decay, (_, size, _) in zip(decays, batches, strict=True)) / weight
    mean_y = sum(wrong for _, _, wrong in batches) / weight
    spread = sum(size * (decay - mean_x) ** 2 for decay, (_, size, _) in zip(decays, batches, strict=True))
    joint = sum(
        size * (decay - mean_x) * (wrong / size - mean_y)
        for decay, (_, size, wrong) in zip(decays, batches, strict=True)
    )
    slope = joint / spread if spread > 1e-9 else 0.0
    last = min(1.0, max(0.0, mean_y - slope * mean_x))
    first = min(1.0, max(0.0, mean_y + slope * (1 - mean_x)))
    error = sum(
        size * (wrong / size - last - (first - last) * decay) ** 2
        for decay, (_, size, wrong) in zip(decays, batches, strict=True)
    )
    return first, last, error
