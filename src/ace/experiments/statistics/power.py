"""Power of a paired comparison: samples needed for a difference, and the smallest difference that samples detect."""

from __future__ import annotations

import math

from scipy import optimize, stats


def samples_needed(difference: float, noise: float, *, power: float = 0.8, significance: float = 0.05) -> int:
    """Number of samples with which a paired comparison of right and wrong detects `difference`, a share in (0, 1].

    `noise` is the share of samples on which the sides differ both ways, twice that of the rarer way: exactly one side
    is right on difference + noise of them. The formula is Connor's for McNemar's test (Biometrics 43, 1987).
    ValueError for a difference outside (0, 1].
    """
    if not 0.0 < difference <= 1.0:
        raise ValueError(f"difference must be above 0 and at most 1, got {difference}")
    share = min(1.0, difference + noise)
    alpha, beta = (float(stats.norm.ppf(q)) for q in (1 - significance / 2, power))
    root = alpha * math.sqrt(share) + beta * math.sqrt(max(0.0, share - difference**2))
    return math.ceil((root / difference) ** 2)


def detectable_difference(n: int, noise: float, *, power: float = 0.8, significance: float = 0.05) -> float | None:
    """Smallest difference that `n` pairs detect with this power; None where not even the largest is detected."""

    def lacking(difference: float) -> float:
        return samples_needed(difference, noise, power=power, significance=significance) - n

    if lacking(1.0) > 0:
        return None
    smallest = 1e-4
    if lacking(smallest) <= 0:
        return smallest
    return float(optimize.bisect(lacking, smallest, 1.0, xtol=1e-4))
