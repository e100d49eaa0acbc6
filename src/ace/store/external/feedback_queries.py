"""The queries and inserts of feedback: what clients were answered, and what became of it.

Which feedback is pending is not stored. It follows from the outcomes of the run's committed batches, so that a batch
and the feedback that it learned from cannot disagree, whatever ends the process between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, Row, Select, and_, delete, select

from ace.store.database import insert_new
from ace.store.records import Exchange, Feedback, FeedbackStatus, utcnow
from ace.store.schema import exchanges, feedback, outcomes

_FIELDS = (feedback.c.request_id, feedback.c.correct, feedback.c.score, feedback.c.text, feedback.c.expected)
_PARAMETERS = 500  # SQLite's older builds allow 999 in a statement


def add_exchanges(connection: Connection, records: Sequence[Exchange]) -> None:
    """Insert the exchanges that are not there yet."""
    rows = [
        {
            "request_id": record.request_id,
            "run_id": record.run,
            "version": record.version,
            "created": record.created,
            "model": record.model,
            "question": record.question,
            "answer": record.answer,
        }
        for record in records
    ]
    if rows:
        connection.execute(insert_new(connection.dialect, exchanges), rows)


def add_feedback(connection: Connection, records: Sequence[Feedback]) -> tuple[FeedbackStatus, ...]:
    """Insert the feedback on requests that have none yet, and return the status of each."""
    ids = list(dict.fromkeys(record.request_id for record in records))
    runs: dict[str, str] = {}
    for start in range(0, len(ids), _PARAMETERS):
        among = exchanges.c.request_id.in_(ids[start : start + _PARAMETERS])
        query = select(exchanges.c.request_id, exchanges.c.run_id).where(among)
        runs.update((row.request_id, row.run_id) for row in connection.execute(query))
    now = utcnow()
    rows = [
        {
            "request_id": record.request_id,
            "run_id": runs[record.request_id],
            "created": now,
            "correct": record.correct,
            "score": record.score,
            "text": record.text,
            "expected": record.expected,
        }
        for record in records
        if record.request_id in runs
    ]
    if rows:
        connection.execute(insert_new(connection.dialect, feedback), rows)
    stored: dict[str, Feedback] = {}
    for start in range(0, len(ids), _PARAMETERS):
        stored_query = select(*_FIELDS).where(feedback.c.request_id.in_(ids[start : start + _PARAMETERS]))
        stored.update((row.request_id, _feedback(row)) for row in connection.execute(stored_query))
    return tuple(_status(record, stored.get(record.request_id)) for record in records)


def pending(connection: Connection, run_id: str, limit: int | None) -> tuple[tuple[Exchange, Feedback], ...]:
    """Feedback on answers of the run that is the sample of no outcome of its batches, the oldest first."""
    learned = and_(
        outcomes.c.run_id == feedback.c.run_id,
        outcomes.c.sample_id == feedback.c.request_id,
        outcomes.c.batch.is_not(None),
    )
    query: Select[*tuple[object, ...]] = (
        select(*_FIELDS, *(exchanges.c[name] for name in ("run_id", "version", "created", "model")))
        .add_columns(exchanges.c.question, exchanges.c.answer)
        .join(exchanges, exchanges.c.request_id == feedback.c.request_id)
        .where(feedback.c.run_id == run_id, ~select(outcomes.c.seq).where(learned).exists())
        .order_by(feedback.c.created, feedback.c.request_id)
        .limit(limit)
    )
    return tuple((_exchange(row), _feedback(row)) for row in connection.execute(query))


def trim_exchanges(connection: Connection, before: datetime) -> int:
    """Remove exchanges from before then without feedback."""
    rated = select(feedback.c.request_id).where(feedback.c.request_id == exchanges.c.request_id).exists()
    return connection.execute(delete(exchanges).where(exchanges.c.created < before, ~rated)).rowcount


def _status(record: Feedback, stored: Feedback | None) -> FeedbackStatus:
    if stored is None:
        return "unknown"
    return "stored" if stored == record else "conflict"


def _feedback(row: Row[*tuple[object, ...]]) -> Feedback:
    return Feedback(row.request_id, row.correct, row.score, row.text, row.expected)


def _exchange(row: Row[*tuple[object, ...]]) -> Exchange:
    return Exchange(
        request_id=row.request_id,
        run=row.run_id,
        version=row.version,
        question=row.question,
        answer=row.answer,
        model=row.model,
        created=row.created,
    )
