"""Feedback on answers: stored once, and pending until a committed batch has learned from it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from builders import batch, start

from ace.store import Exchange, Feedback, RunStore
from ace.store.records import OutcomeRecord, utcnow


@pytest.fixture
def run(store: RunStore) -> str:
    return start(store)


def exchange(run: str, name: str) -> Exchange:
    return Exchange(name, run, 0, f"question {name}\x00\ud800", f"answer {name}", "model")


def test_feedback_is_stored_once_however_often_it_is_reported(store: RunStore, run: str) -> None:
    given = Feedback("a", correct=False, text="no\x00", expected="4")
    for _ in range(2):
        assert store.record_feedback([exchange(run, "a")], [given, given]) == ("stored", "stored")
    ((asked, stored),) = store.pending_feedback(run)
    assert stored == given
    assert (asked.question, asked.answer) == ("question a\x00\ud800", "answer a")


def test_contradicting_feedback_is_a_conflict_and_changes_nothing(store: RunStore, run: str) -> None:
    store.record_feedback([exchange(run, "a")], [Feedback("a", correct=True)])
    assert store.record_feedback([], [Feedback("a", correct=False)]) == ("conflict",)
    assert store.pending_feedback(run)[0][1].correct is True


def test_feedback_on_a_request_that_is_not_stored_is_unknown(store: RunStore, run: str) -> None:
    assert store.record_feedback([exchange(run, "a")], [Feedback("b"), Feedback("a")]) == ("unknown", "stored")
    assert [item.request_id for _, item in store.pending_feedback(run)] == ["a"]


def test_many_at_once_keep_their_order(store: RunStore, run: str) -> None:
    names = [f"{number:04}" for number in range(1_200)]
    statuses = store.record_feedback([exchange(run, name) for name in names], [Feedback(name) for name in names])
    assert set(statuses) == {"stored"}
    assert [item.request_id for _, item in store.pending_feedback(run, 700)] == names[:700]


def test_a_committed_batch_has_learned_from_the_feedback_of_its_samples(store: RunStore, run: str) -> None:
    names = ["a", "b", "c"]
    store.record_feedback([exchange(run, name) for name in names], [Feedback(name, score=0.5) for name in names])
    outcomes = (OutcomeRecord("a", 0), OutcomeRecord("b", 1, "failed", error="no reflection"))
    store.commit_batch(replace(batch(run, 0, store.playbook(run)), outcomes=outcomes, calls=()))
    assert [item.request_id for _, item in store.pending_feedback(run)] == ["c"]


def test_old_exchanges_without_feedback_are_trimmed(store: RunStore, run: str) -> None:
    store.record_feedback([exchange(run, "rated"), exchange(run, "silent")], [Feedback("rated")])
    assert store.trim_exchanges(utcnow() - timedelta(days=1)) == 0
    assert store.trim_exchanges(utcnow() + timedelta(days=1)) == 1
    assert store.record_feedback([], [Feedback("silent"), Feedback("rated")]) == ("unknown", "stored")
