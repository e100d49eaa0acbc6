"""Splits: every sample in at most one, the same for the same seed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ace.config import SplitSettings
from ace.errors import DataError
from ace.tasks import Splits
from ace.tasks.splits import check_splits, split_samples
from ace.types import Sample


def samples(*questions: str) -> tuple[Sample, ...]:
    return tuple(Sample(f"s{number}", question, "t") for number, question in enumerate(questions))


def test_shares_and_seed() -> None:
    given = samples(*map(str, range(50)))
    settings = SplitSettings(train=0.5, validation=0.2, test=0.3, seed=3)
    splits = split_samples(given, settings)
    assert [len(splits.train), len(splits.validation), len(splits.test)] == [25, 10, 15]
    assert split_samples(given, settings) == splits
    assert split_samples(given, settings.model_copy(update={"seed": 4})) != splits


@given(
    st.lists(st.sampled_from("abcdefgh"), max_size=40),
    st.tuples(st.integers(0, 10), st.integers(0, 10), st.integers(1, 10)),
    st.integers(0, 99),
)
def test_every_sample_once_when_the_shares_are_the_whole(
    questions: list[str], weights: tuple[int, int, int], seed: int
) -> None:
    train, validation, test = (weight / sum(weights) for weight in weights)
    given = samples(*questions)
    splits = check_splits(split_samples(given, SplitSettings(train=train, validation=validation, test=test, seed=seed)))
    assert sorted(s.id for s in splits.train + splits.validation + splits.test) == sorted(s.id for s in given)


def test_what_asks_the_same_stays_together() -> None:
    for seed in range(20):
        splits = split_samples(samples("a", "a ", "b", "b", "c", "d"), SplitSettings(seed=seed))
        parts = [
            {sample.question.strip() for sample in part} for part in (splits.train, splits.validation, splits.test)
        ]
        assert sum(map(len, parts)) == len(set.union(*parts)) == 4


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        (Splits(train=samples("a"), test=samples("b")), "'s0' is in train and in test"),
        (Splits(train=samples("a") + samples("b")), "'s0' is twice in train"),
        (
            Splits(train=samples("a"), validation=(Sample("v", "a"),)),
            "'s0' in train and 'v' in validation ask the same",
        ),
        (Splits(validation=samples("a"), test=(Sample("t", "a "),)), "'s0' in validation and 't' in test ask the same"),
    ],
)
def test_a_sample_in_two_places(splits: Splits, message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_splits(splits)


def test_the_same_question_about_another_context_is_another_sample() -> None:
    splits = Splits(train=(Sample("a", "sum?", context="1 2"),), test=(Sample("b", "sum?", context="3 4"),))
    assert check_splits(splits) is splits


def test_the_same_question_twice_in_one_split_is_allowed() -> None:
    splits = Splits(train=samples("a", "a"))
    assert check_splits(splits) is splits
