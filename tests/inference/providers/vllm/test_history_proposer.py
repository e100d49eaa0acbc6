"""Guesses from earlier answers: what is learned, when a guess ends, and what vLLM gets."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ace.inference.providers.vllm.history_proposer import MOST_WEIGHT, History, HistoryProposer

PROMPT, ANSWER = [1, 2, 3], [10, 11, 12, 13, 14, 15]


def learned(*answers: list[int], most: int = 1_000) -> History:
    history = History(most)
    for answer in answers:
        history.learn([*PROMPT, *answer], len(answer))
    return history


def test_an_answer_that_was_written_before_is_guessed_to_its_end() -> None:
    history = learned(ANSWER)
    assert history.guess([*PROMPT, 10], 9) == ANSWER[1:]
    assert history.guess([*PROMPT, 10], 2) == ANSWER[1:3]
    assert history.guess([99], 4) == [], "nothing like it was seen"
    assert history.guess([], 4) == []


def test_prompts_are_not_learned_by_themselves() -> None:
    assert learned(ANSWER).guess([1, 2], 4) == []


def test_the_longest_known_context_counts() -> None:
    history = learned([7, 20, 30], [8, 20, 40], [8, 20, 40])
    assert history.guess([7, 20], 1) == [30]
    assert history.guess([8, 20], 1) == [40]


def test_a_guess_ends_where_it_is_no_longer_likely() -> None:
    history = learned([10, 11, 12, 50], [10, 11, 12, 60], [10, 11, 12, 70])
    assert history.guess([10], 4) == [11, 12]


@given(st.integers(1, 3 * MOST_WEIGHT))
def test_a_change_is_believed_after_a_while_however_often_the_old_was_seen(times: int) -> None:
    history = learned(*[[5, 1]] * times)
    assert history.guess([5], 1) == [1]
    history = learned(*[[5, 1]] * times, *[[5, 2]] * (3 * MOST_WEIGHT))
    assert history.guess([5], 1) == [2]


def test_memory_is_bounded() -> None:
    history = learned(*[list(range(start, start + 10)) for start in range(0, 5_000, 10)], most=100)
    assert len(history) <= 100 + 10 * 4


@given(st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=12), max_size=8), st.integers(0, 6))
def test_guesses_are_known_tokens_and_never_too_many(answers: list[list[int]], most: int) -> None:
    guessed = learned(*answers).guess([*PROMPT, 0, 1], most)
    assert len(guessed) <= most
    assert set(guessed) <= {token for answer in answers for token in answer}


def proposer(tokens: int = 4, room: int = 64) -> HistoryProposer:
    config: Any = SimpleNamespace(
        speculative_config=SimpleNamespace(num_speculative_tokens=tokens),
        model_config=SimpleNamespace(max_model_len=room),
    )
    return HistoryProposer(config)


def counts(values: list[int]) -> Any:
    """As vLLM hands them over."""
    return np.array(values)


def rows(*known: list[int]) -> Any:
    ids = np.zeros((len(known) + 2, 64), dtype=np.int32)
    for row, values in zip(ids, known, strict=False):
        row[: len(values)] = values
    return ids


def test_requests_of_a_batch_learn_from_each_other() -> None:
    drafter = proposer()
    first = [*PROMPT, *ANSWER]
    assert drafter.propose([ANSWER], counts([len(first)]), rows(first)) == [[]]
    second, third = [*PROMPT, 10], [*PROMPT, 99]
    lengths = counts([len(second), 2, len(third)])
    assert drafter.propose([[10], [], [99]], lengths, rows(second, [1, 2], third)) == [ANSWER[1:5], [], []]


def test_no_guess_reaches_beyond_the_longest_context() -> None:
    drafter = proposer(room=7)
    first = [1, *ANSWER]
    drafter.propose([ANSWER[:5]], counts([6]), rows(first))
    asked = [1, 1, 1, 1, 10]
    assert drafter.propose([[10]], counts([5]), rows(asked)) == [[11]], "two places, one for the model's own token"
    assert drafter.propose([[10]], counts([7]), rows([1, 1, *asked])) == [[]]
