"""Answers of an agent in a run's store, where feedback on them is learned from: see `ace learn`."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import uuid4

from ace.config import DEFAULT_STORE
from ace.errors import DataError
from ace.store import Exchange, Feedback, RunStore


@dataclass(frozen=True, slots=True)
class AgentAnswer:
    """The end of an agent's work: what it was asked, what it answered, with which version of the playbook."""

    question: str
    answer: str
    playbook_version: int
    request_id: str = field(default_factory=lambda: uuid4().hex)


@dataclass(frozen=True, slots=True)
class AnswerLog:
    """Keeps answers behind the playbook of `run`, and what became of them. Each call is on disk when it returns.

    It is what `PlaybookMiddleware(report=...)` takes. `run` is a run as `ace show` takes it.
    """

    run: str
    store: str = DEFAULT_STORE

    def __call__(self, answer: AgentAnswer) -> None:
        """Keep `answer`."""
        with RunStore.open(self.store, create=False) as store:
            run = store.resolve(self.run)
            exchange = Exchange(answer.request_id, run, answer.playbook_version, answer.question, answer.answer)
            store.record_feedback([exchange])

    def report(
        self,
        request_id: str,
        *,
        correct: bool | None = None,
        score: float | None = None,
        text: str = "",
        expected: str | None = None,
    ) -> None:
        """Report what became of an answer. DataError for one that was not kept, or that has other feedback."""
        with RunStore.open(self.store, create=False) as store:
            (status,) = store.record_feedback(feedback=[Feedback(request_id, correct, score, text, expected)])
        if status != "stored":
            reason = "there is no such answer" if status == "unknown" else "it has other feedback, which stands"
            raise DataError(f"feedback on the request {request_id!r}: {reason}")
