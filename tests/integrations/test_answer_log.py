"""Answers of agents in a store, and the feedback on them."""

from __future__ import annotations

from pathlib import Path

import pytest
from builders import start

from ace.errors import DataError, RunNotFoundError
from ace.integrations.answer_log import AgentAnswer, AnswerLog
from ace.store import RunStore


def test_an_answer_and_its_feedback_are_pending_until_they_are_learned_from(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ace.db"
    with RunStore.open(url) as store:
        run = start(store)
    log, answer = AnswerLog(run, url), AgentAnswer("Which desk?", "Q17", 0)
    log(answer)
    with RunStore.open(url) as store:
        assert store.pending_feedback(run) == ()
    log.report(answer.request_id, correct=False, expected="X59", text="Parcels go elsewhere.")
    log.report(answer.request_id, correct=False, expected="X59", text="Parcels go elsewhere.")
    with RunStore.open(url) as store:
        ((exchange, feedback),) = store.pending_feedback(run)
    assert (exchange.question, exchange.answer, exchange.version) == ("Which desk?", "Q17", 0)
    assert (feedback.correct, feedback.expected, feedback.text) == (False, "X59", "Parcels go elsewhere.")
    with pytest.raises(DataError, match="it has other feedback"):
        log.report(answer.request_id, correct=True)
    with pytest.raises(DataError, match="no such answer"):
        log.report("never", correct=True)
    with pytest.raises(RunNotFoundError):
        AnswerLog("no-such-run", url)(answer)
