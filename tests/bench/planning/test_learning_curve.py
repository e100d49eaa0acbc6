"""Curves of a pilot run: what they are fitted to, and how they go on."""

from __future__ import annotations

import math

import pytest

from ace.bench.planning.learning_curve import LearningCurve, fit_line


def test_the_curve_that_made_the_points_is_found_again() -> None:
    gained = [(samples, round(1000 * -math.expm1(-samples / 16))) for samples in (4, 12, 28)]
    wrong = [(before, 100, round(100 * (0.1 + 0.8 * math.exp(-before / 16)))) for before in (0, 4, 12)]
    curve = LearningCurve.fit(gained, wrong, 10.0)
    assert curve.scale == 16
    assert curve.gained(10_000) == pytest.approx(1000, abs=2)
    assert curve.playbook(10_000) == pytest.approx(10_000, abs=20)
    assert curve.wrong(0) == pytest.approx(0.9, abs=0.02)
    assert curve.wrong(10_000) == pytest.approx(0.1, abs=0.05)


def test_a_playbook_that_never_grows_stays_empty() -> None:
    curve = LearningCurve.fit([(4, 0), (12, 0)], [(0, 4, 3), (4, 8, 6)], 0.0)
    assert curve.playbook(1000) == 0
    assert curve.wrong(0) == curve.wrong(1000) == pytest.approx(0.75)


def test_shares_stay_between_none_and_all() -> None:
    curve = LearningCurve.fit([(8, 30), (16, 31)], [(0, 8, 8), (8, 8, 0)], 1.0)
    assert curve.wrong(0) == 1.0
    assert curve.wrong(100_000) == 0.0


def test_a_line_is_flat_without_a_spread_and_never_falls() -> None:
    assert fit_line([2.0, 2.0], [5.0, 7.0]) == (6.0, 0.0)
    assert fit_line([1.0, 3.0], [10.0, 14.0]) == pytest.approx((8.0, 2.0))
    assert fit_line([1.0, 2.0], [7.0, 3.0]) == (5.0, 0.0)
    assert fit_line([2.0, 2.0], [5.0, 7.0], growing=0.5) == pytest.approx((3.0, 1.5))
    assert fit_line([4.0, 8.0], [1.0, 9.0]) == pytest.approx((0.0, 5 / 6))
