"""Confidence intervals of means."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

RESAMPLES = 9_999
Method = Literal["wilson", "bootstrap", "bonett-price", "none"]


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval and its method; `none` where the data give no interval, which is then the whole range."""

    low: float
    high: float
    method: Method

    def to_json(self) -> dict[str, float | str]:
        return {"low": self.low, "high": self.high, "method": self.method}


def is_binary(values: NDArray[np.float64]) -> bool:
    """Return True if all values are 0 or 1."""
    return bool(np.isin(values, (0.0, 1.0)).all())


def mean_interval(values: Sequence[float], *, confidence: float = 0.95, seed: int = 0) -> Interval:
    """Estimate the interval of the mean of `values` in [0, 1].

    Wilson's score interval where all values are 0 or 1: a bootstrap would call 20 right of 20 certain. Otherwise the
    BCa bootstrap (Efron 1987). Equal values other than 0 or 1 have no spread to estimate: the interval is then [0, 1].
    """
    data = np.asarray(values, dtype=np.float64)
    if data.size == 0:
        return Interval(0.0, 1.0, "none")
    if is_binary(data):
        bounds = stats.binomtest(int(data.sum()), data.size).proportion_ci(confidence, method="wilson")
        return Interval(float(bounds.low), float(bounds.high), "wilson")
    interval = bootstrap_mean(data, confidence=confidence, seed=seed)
    return interval or Interval(0.0, 1.0, "none")


def bootstrap_mean(data: NDArray[np.float64], *, confidence: float, seed: int) -> Interval | None:
    """Estimate the BCa bootstrap interval of a mean. None where all resamples are equal."""
    if data.size < 2 or np.ptp(data) == 0.0:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of degenerate resamples; the bounds are checked below
        bounds = stats.bootstrap(
            (data,),
            np.mean,
            confidence_level=confidence,
            n_resamples=RESAMPLES,
            batch=1_000,
            method="BCa",
            rng=np.random.default_rng(seed),
        ).confidence_interval
    if not np.isfinite((bounds.low, bounds.high)).all():
        return None
    return Interval(float(bounds.low), float(bounds.high), "bootstrap")
