"""The loop's pure parts."""

from __future__ import annotations

import asyncio
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ace._util.hashing import derive_seed
from ace.engine.concurrency.task_groups import gather_all
from ace.engine.learning.curation import split_groups
from ace.engine.loop.schedule import plan_batches
from ace.types import Sample

SAMPLES = tuple(Sample(str(number), f"question {number}") for number in range(10))


@given(st.integers(1, 4), st.one_of(st.just("auto"), st.integers(1, 12)), st.booleans(), st.integers(0, 2**31))
def test_every_sample_is_planned_once_an_epoch(
    epochs: int, size: Literal["auto"] | int, shuffle: bool, seed: int
) -> None:
    plans = plan_batches(SAMPLES, epochs=epochs, batch_size=size, shuffle=shuffle, seed=seed)
    assert [plan.index for plan in plans] == list(range(len(plans)))
    for epoch in range(epochs):
        batches = [plan for plan in plans if plan.epoch == epoch]
        assert sorted(s.id for plan in batches for s in plan.samples) == sorted(s.id for s in SAMPLES)
        assert [plan.ends_epoch for plan in batches] == [False] * (len(batches) - 1) + [True]
        assert {plan.epoch_start for plan in batches} == {batches[0].index}
    for plan in plans:
        assert plan.samples_after == sum(len(later.samples) for later in plans[plan.index + 1 :])
    assert plans == plan_batches(SAMPLES, epochs=epochs, batch_size=size, shuffle=shuffle, seed=seed)


def test_epochs_are_shuffled_differently_and_unshuffled_ones_are_not() -> None:
    first, second = plan_batches(SAMPLES, epochs=2, batch_size=10, shuffle=True, seed=0)
    assert first.samples != second.samples
    first, second = plan_batches(SAMPLES, epochs=2, batch_size=10, shuffle=False, seed=0)
    assert first.samples == second.samples == SAMPLES


def test_auto_begins_small_and_grows() -> None:
    samples = [Sample(str(number), "q") for number in range(150)]
    plans = plan_batches(samples, epochs=2, batch_size="auto", shuffle=False, seed=0)
    assert [len(plan.samples) for plan in plans] == [4, 8, 16, 32, 64, 26, 64, 64, 22]
    warm = plan_batches(samples, epochs=1, batch_size="auto", shuffle=False, seed=0, bullets=3)
    assert [len(plan.samples) for plan in warm] == [16, 32, 64, 38]


def test_seeds_differ_by_purpose() -> None:
    seeds = {derive_seed(0, "a", "b"), derive_seed(0, "ab"), derive_seed(1, "a", "b"), derive_seed(0, "b", "a")}
    assert len(seeds) == 4
    assert all(0 <= seed < 2**31 for seed in seeds)


@given(st.integers(0, 60), st.one_of(st.just("auto"), st.integers(1, 12)))
def test_groups_keep_the_order_and_are_even(count: int, groups: int | str) -> None:
    cut = split_groups(range(count), groups)  # type: ignore[arg-type]
    assert [item for group in cut for item in group] == list(range(count))
    sizes = [len(group) for group in cut]
    assert not sizes or max(sizes) - min(sizes) <= 1
    assert all(sizes)


@pytest.mark.parametrize(("count", "expected"), [(0, 0), (1, 1), (2, 2), (4, 2), (5, 3), (16, 4), (64, 8)])
def test_auto_makes_square_root_many_groups(count: int, expected: int) -> None:
    assert len(split_groups(range(count), "auto")) == expected


def test_flow_raises_the_first_error_itself_and_cancels_the_rest() -> None:
    cancelled = []

    async def wait() -> None:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    async def fail() -> None:
        await asyncio.sleep(0)
        raise ValueError("this one")

    with pytest.raises(ValueError, match="this one"):
        asyncio.run(gather_all([wait(), fail()]))
    assert cancelled == [True]
