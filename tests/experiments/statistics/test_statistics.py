"""Intervals, paired tests and power, against known values and by simulation."""

from __future__ import annotations

import random

import pytest

from ace.experiments.statistics import detectable_difference, holm, mean_interval, paired_test, samples_needed


class TestIntervals:
    def test_shares_get_wilsons_interval(self) -> None:
        # Newcombe, Statistics in Medicine 17 (1998), table I: 81 of 263.
        interval = mean_interval([1.0] * 81 + [0.0] * 182)
        assert (round(interval.low, 4), round(interval.high, 4), interval.method) == (0.2553, 0.3662, "wilson")

    def test_all_right_is_not_certain(self) -> None:
        interval = mean_interval([1.0] * 20)
        assert interval.high == 1.0
        assert 0.8 < interval.low < 0.9

    def test_scores_are_bootstrapped(self) -> None:
        values = [random.Random(i).random() for i in range(200)]
        interval = mean_interval(values)
        mean, half = sum(values) / 200, 1.96 * (1 / 12 / 200) ** 0.5
        assert interval.method == "bootstrap"
        assert interval.low == pytest.approx(mean - half, abs=0.01)
        assert interval.high == pytest.approx(mean + half, abs=0.01)
        assert interval == mean_interval(values)

    @pytest.mark.parametrize("values", [[], [0.4], [0.4] * 9])
    def test_what_tells_nothing_of_its_spread(self, values: list[float]) -> None:
        interval = mean_interval(values)
        assert (interval.low, interval.high, interval.method) == (0.0, 1.0, "none")

    def test_it_holds_the_truth_as_often_as_it_says(self) -> None:
        rng = random.Random(3)
        held = 0
        for _ in range(400):
            interval = mean_interval([float(rng.random() < 0.3) for _ in range(60)])
            held += interval.low <= 0.3 <= interval.high
        assert held / 400 >= 0.92


class TestPairs:
    def test_mcnemars_exact_test(self) -> None:
        # Discordant pairs 10 and 3: 2 * sum of binomials up to 3 of 13.
        found = paired_test([1.0] * 10 + [0.0] * 3 + [1.0] * 50, [0.0] * 10 + [1.0] * 3 + [1.0] * 50)
        assert (found.only_a, found.only_b, found.test) == (10, 3, "mcnemar")
        assert found.p == pytest.approx(2 * (1 + 13 + 78 + 286) / 2**13)
        assert found.difference == pytest.approx(-7 / 63)
        assert found.interval.low < found.difference < found.interval.high

    def test_pairs_that_all_agree(self) -> None:
        found = paired_test([1.0, 0.0, 1.0], [1.0, 0.0, 1.0])
        assert (found.p, found.difference, found.interval.method) == (1.0, 0.0, "bonett-price")
        assert found.interval.low < -0.3

    def test_scores_are_permuted(self) -> None:
        rng = random.Random(1)
        one = [rng.random() for _ in range(40)]
        assert paired_test(one, [value + 0.1 + rng.random() / 50 for value in one]).p < 0.001
        same = paired_test(one, [min(1.0, max(0.0, value + rng.choice((-0.1, 0.1)))) for value in one])
        assert same.test == "permutation"
        assert same.p > 0.01

    def test_one_pair_says_nothing(self) -> None:
        assert paired_test([0.2], [0.7]).p == 1.0

    @pytest.mark.parametrize(("a", "b"), [([], []), ([1.0], [1.0, 0.0])])
    def test_what_is_no_pairs(self, a: list[float], b: list[float]) -> None:
        with pytest.raises(ValueError, match="as many scores on both sides"):
            paired_test(a, b)

    @pytest.mark.slow
    def test_where_there_is_no_difference_few_are_found(self) -> None:
        rng = random.Random(7)
        found = 0
        for _ in range(150):
            a = [float(rng.random() < 0.6) for _ in range(50)]
            b = [float(rng.random() < 0.6) for _ in range(50)]
            found += paired_test(a, b).p < 0.05
        assert found / 150 <= 0.06

    def test_holm(self) -> None:
        assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
        assert holm([]) == []


class TestPower:
    @pytest.mark.slow
    def test_so_many_samples_find_the_difference_as_often_as_promised(self) -> None:
        difference, noise = 0.15, 0.1
        n = samples_needed(difference, noise)
        rng = random.Random(11)
        found = 0
        for _ in range(120):
            pairs = [rng.random() for _ in range(n)]
            better, worse = difference + noise / 2, noise / 2
            a = [float(better <= x < better + worse or x > 0.7) for x in pairs]
            b = [float(x < better or x > 0.7) for x in pairs]
            found += paired_test(a, b).p < 0.05
        assert 0.72 <= found / 120 <= 0.9

    def test_both_ways(self) -> None:
        for noise in (0.0, 0.05, 0.3):
            detectable = detectable_difference(200, noise)
            assert detectable is not None
            assert abs(samples_needed(detectable, noise) - 200) <= 5

    def test_too_few_for_anything(self) -> None:
        assert detectable_difference(2, 0.0) is None

    @pytest.mark.parametrize("difference", [0.0, -0.1, 1.1])
    def test_what_is_no_difference(self, difference: float) -> None:
        with pytest.raises(ValueError, match="above 0 and at most 1"):
            samples_needed(difference, 0.1)
