"""Paired tests of two evaluations of the same samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ace.experiments.statistics.intervals import RESAMPLES, Interval, bootstrap_mean, is_binary


@dataclass(frozen=True, slots=True)
class PairedTest:
    """`b` against `a` on `n` samples: `difference` is mean b - mean a, in [-1, 1].

    `only_a` and `only_b` count the samples on which one scored higher. `p` is two-sided: McNemar's exact test for
    right and wrong, else a permutation test that flips the signs of the differences.
    """

    n: int
    mean_a: float
    mean_b: float
    difference: float
    interval: Interval
    p: float
    test: Literal["mcnemar", "permutation"]
    only_a: int
    only_b: int


def paired_test(a: Sequence[float], b: Sequence[float], *, confidence: float = 0.95, seed: int = 0) -> PairedTest:
    """Compare the scores of the same samples, in the same order. ValueError for no samples or unequal numbers."""
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.size != second.size or first.size == 0:
        raise ValueError(f"pairs need as many scores on both sides, got {first.size} and {second.size}")
    differences = second - first
    only_a, only_b = int((differences < 0).sum()), int((differences > 0).sum())
    binary = is_binary(first) and is_binary(second)
    p = _mcnemar(only_a, only_b) if binary else _permutation(differences, seed)
    interval = bootstrap_mean(differences, confidence=confidence, seed=seed)
    if interval is None:
        interval = _bonett_price(only_a, only_b, first.size, confidence) if binary else Interval(-1.0, 1.0, "none")
    return PairedTest(
        n=int(first.size),
        mean_a=float(first.mean()),
        mean_b=float(second.mean()),
        difference=float(differences.mean()),
        interval=interval,
        p=p,
        test="mcnemar" if binary else "permutation",
        only_a=only_a,
        only_b=only_b,
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct the p values of several comparisons for their number (Holm 1979). They keep their order."""
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(order), 0, -1)
    corrected = np.empty(len(order))
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(np.asarray(p_values)[order] * factors))
    return [float(p) for p in corrected]


def _mcnemar(only_a: int, only_b: int) -> float:
    """McNemar's exact test: the pairs that differ are a fair coin's tosses if the sides do not."""
    if only_a + only_b == 0:
        return 1.0
    return float(stats.binomtest(min(only_a, only_b), only_a + only_b).pvalue)


def _permutation(differences: NDArray[np.float64], seed: int) -> float:
    if not differences.any():
        return 1.0
    if differences.size < 2:  # one pair can be flipped into its opposite and nothing else
        return 1.0
    result = stats.permutation_test(
        (differences,),
        np.mean,
        permutation_type="samples",
        n_resamples=RESAMPLES,
        batch=1_000,
        vectorized=True,
        rng=np.random.default_rng(seed),
    )
    return float(result.pvalue)


def _bonett_price(only_a: int, only_b: int, n: int, confidence: float) -> Interval:
    """Adjusted Wald interval, for pairs that all agree in their difference: a bootstrap sees no spread in them.

    Bonett and Price, "Adjusted Wald confidence interval for a difference of binomial proportions based on paired
    data", Journal of Educational and Behavioral Statistics 37 (2012).
    """
    one, other = (only_b + 1) / (n + 2), (only_a + 1) / (n + 2)
    centre = one - other
    half = float(stats.norm.ppf(0.5 + confidence / 2)) * math.sqrt((one + other - centre**2) / (n + 2))
    return Interval(max(-1.0, centre - half), min(1.0, centre + half), "bonett-price")
