"""Curves that are fitted to a pilot run: the growth of its playbook, and its wrong first answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

SCALES = tuple(2.0 ** (power / 4) for power in range(0, 81))
"""Samples after which the curves have gone 63% of their way: 1 to a million, of which one is chosen."""

NEEDED = (1, 2, 3, 4)


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """By the number of samples that came before: bullets gained, their tokens, and the share of wrong first answers.

    The playbook approaches its end exponentially, with `scale` in samples: what was noted once is not noted again. An
    answer may need several bullets at once, `needed` of them.
    """

    scale: float
    bullets: float
    bullet_tokens: float
    needed: int
    wrong_first: float
    wrong_last: float

    @classmethod
    def fit(
        cls, gained: Sequence[tuple[int, int]], wrong: Sequence[tuple[int, int, int]], bullet_tokens: float
    ) -> LearningCurve:
        """Fit to (samples, bullets gained), and to (samples before, size, wrong ones) of batches and evaluations.

        The growth decides the scale, by least squares; where nothing grew, the wrong answers do.
        """
        grew = any(bullets for _, bullets in gained)
        fits = []
        for scale in SCALES:
            bullets, growth_error = _fit_growth(gained, scale)
            error, first, last, needed = min((*_fit_wrong(wrong, scale, needed), needed) for needed in NEEDED)
            fits.append((growth_error if grew else error, scale, bullets, needed, first, last))
        _, scale, bullets, needed, first, last = min(fits)
        return cls(scale, bullets, bullet_tokens, needed, first, last)

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
        return self.wrong_last + (self.wrong_first - self.wrong_last) * (1 - self.progress(samples) ** self.needed)


def fit_line(xs: Sequence[float], ys: Sequence[float], *, growing: float = 0.0) -> tuple[float, float]:
    """Intercept and slope by least squares, neither below 0.

    `growing` is the share of `ys` that is taken to grow with `xs` where these do not differ enough to tell: a ridge
    towards that slope, of half the mean of `xs`.
    """
    mean_x, mean_y = fmean(xs), fmean(ys)
    steepest = mean_y / mean_x if mean_x else 0.0
    ridge = len(xs) * (mean_x / 2) ** 2 if growing else 0.0
    spread = sum((x - mean_x) ** 2 for x in xs) + ridge
    joint = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) + ridge * growing * steepest
    slope = max(0.0, min(joint / spread if spread else 0.0, steepest))
    return mean_y - slope * mean_x, slope


def _fit_growth(gained: Sequence[tuple[int, int]], scale: float) -> tuple[float, float]:
    """The bullets in the end, and the squared error."""
    shares = [-math.expm1(-samples / scale) for samples, _ in gained]
    square = sum(share * share for share in shares)
    end = max(0.0, sum(s * bullets for s, (_, bullets) in zip(shares, gained, strict=True)) / square) if square else 0.0
    return end, sum((bullets - end * s) ** 2 for s, (_, bullets) in zip(shares, gained, strict=True))


def _fit_wrong(points: Sequence[tuple[int, int, int]], scale: float, needed: int) -> tuple[float, float, float]:
    """The squared error, and the shares at the first sample and in the end, from 0 to 1. Points weigh by their size."""
    weight = sum(size for _, size, _ in points)
    left = [1 - (-math.expm1(-before / scale)) ** needed for before, _, _ in points]
    mean_x = sum(size * x for x, (_, size, _) in zip(left, points, strict=True)) / weight
    mean_y = sum(wrong for _, _, wrong in points) / weight
    spread = sum(size * (x - mean_x) ** 2 for x, (_, size, _) in zip(left, points, strict=True))
    joint = sum(size * (x - mean_x) * (wrong / size - mean_y) for x, (_, size, wrong) in zip(left, points, strict=True))
    slope = joint / spread if spread > 1e-9 else 0.0
    last = min(1.0, max(0.0, mean_y - slope * mean_x))
    first = min(1.0, max(0.0, mean_y + slope * (1 - mean_x)))
    errors = (
        size * (wrong / size - last - (first - last) * x) ** 2 for x, (_, size, wrong) in zip(left, points, strict=True)
    )
    return sum(errors), first, last
