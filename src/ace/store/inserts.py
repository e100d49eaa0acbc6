"""The inserts of a run, a batch and an evaluation. Each function works inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Table, bindparam, delete, func, insert, select, update

from ace.errors import StoreError
from ace.playbook.delta import Delta
from ace.store.database import insert_new
from ace.store.records import BatchRecord, EvaluationAmendment, EvaluationRecord, JournalEntry, OutcomeRecord, utcnow
from ace.store.schema import batches, calls, completions, evaluations, journal, outcomes, playbook_versions, runs
from ace.types import Completion, Usage

if TYPE_CHECKING:
    from ace.playbook.apply import SkippedOperation
    from ace.playbook.playbook import Playbook
    from ace.roles.role_call import CallRecord


def add_playbook(
    connection: Connection,
    run_id: str,
    step: int,
    playbook: Playbook,
    created: datetime,
    *,
    delta: Delta | None = None,
    skipped: Sequence[SkippedOperation] = (),
    edit: int = 0,
    author: str | None = None,
) -> None:
    """The playbook after `step` batches (0: the initial one) and `edit` edits, and the delta that led to it."""
    connection.execute(
        insert(playbook_versions).values(
            run_id=run_id,
            step=step,
            edit=edit,
            version=playbook.version,
            batch=step - 1 if step else None,
            created=created,
            author=author,
            digest=playbook.digest,
            bullets=len(playbook),
            delta=(delta or Delta(())).to_json(),
            skipped={
                "delta": Delta(tuple(item.operation for item in skipped)).to_json(),
                "reasons": [item.reason for item in skipped],
            },
            playbook=playbook.to_json(),
        )
    )


def add_batch(connection: Connection, record: BatchRecord) -> None:
    """The batch, its delta and playbook, its outcomes and calls. StoreError unless it is the run's next batch."""
    expected = _next(connection, batches, "idx", record.run)
    if record.index != expected:
        raise StoreError(
            f"run {record.run}: batch {record.index} cannot be committed, the next one is {expected}", run=record.run
        )
    connection.execute(
        insert(batches).values(
            run_id=record.run,
            idx=record.index,
            epoch=record.epoch,
            compacted=record.compacted,
            window_info=dict(record.window),
            started=record.started,
            finished=record.finished,
            errors=list(record.errors) or None,
        )
    )
    for batch, position in record.retries:
        connection.execute(
            update(outcomes)
            .where(outcomes.c.run_id == record.run, outcomes.c.batch == batch, outcomes.c.position == position)
            .values(retried_in=record.index)
        )
    add_playbook(
        connection,
        record.run,
        record.index + 1,
        record.playbook,
        record.finished,
        delta=record.delta,
        skipped=record.skipped,
    )
    _add_outcomes(connection, record.run, record.outcomes, batch=record.index)
    _add_calls(connection, record.run, record.calls, batch=record.index)


def add_evaluation(connection: Connection, record: EvaluationRecord) -> int:
    """The evaluation, its outcomes and calls. Returns its index in the run."""
    index = _next(connection, evaluations, "idx", record.run)
    connection.execute(
        insert(evaluations).values(
            run_id=record.run,
            idx=index,
            label=record.label,
            split=record.split,
            playbook_version=record.playbook_version,
            after_batch=record.after_batch,
            n=len(record.outcomes),
            correct=sum(outcome.correct is True for outcome in record.outcomes),
            failed=sum(outcome.status == "failed" for outcome in record.outcomes),
            metrics=dict(record.metrics) or None,
            started=record.started,
            finished=record.finished,
        )
    )
    _add_outcomes(connection, record.run, record.outcomes, evaluation=index)
    _add_calls(connection, record.run, record.calls, evaluation=index)
    return index


def amend_evaluation(connection: Connection, run_id: str, index: int, amended: EvaluationAmendment) -> None:
    """Other outcomes in the places of failed ones, and the calls that led to them."""
    here = (outcomes.c.run_id == run_id, outcomes.c.evaluation == index)
    for outcome in amended.outcomes:
        position = outcomes.c.position == outcome.position
        connection.execute(update(outcomes).where(*here, position).values(**_outcome_row(outcome)))
    _add_calls(connection, run_id, amended.calls, evaluation=index)
    counted = select(
        func.count().filter(outcomes.c.correct).label("correct"),
        func.count().filter(outcomes.c.status == "failed").label("failed"),
    ).where(*here)
    correct, failed = connection.execute(counted).one()
    connection.execute(
        update(evaluations)
        .where(evaluations.c.run_id == run_id, evaluations.c.idx == index)
        .values(correct=correct, failed=failed, metrics=dict(amended.metrics) or None)
    )


def add_journal(connection: Connection, run_id: str, entries: Sequence[JournalEntry]) -> None:
    """Insert answered calls of the work in flight. Existing entries stay."""
    if entries:
        connection.execute(insert_new(connection.dialect, journal), [_journal_row(run_id, entry) for entry in entries])


def add_completions(connection: Connection, answers: Mapping[str, Completion]) -> None:
    """Insert answers into the completion cache by their keys. Existing ones stay."""
    if answers:
        now = utcnow()
        rows = [_completion_row(key, completion, now) for key, completion in answers.items()]
        connection.execute(insert_new(connection.dialect, completions), rows)


def add_notes(connection: Connection, run_id: str, notes: Sequence[str]) -> None:
    """Add the changes that the run's backends made to requests, each once."""
    if notes:
        stored = connection.execute(select(runs.c.notes).where(runs.c.id == run_id)).scalar_one() or []
        every = list(dict.fromkeys((*stored, *notes)))
        connection.execute(update(runs).where(runs.c.id == run_id).values(notes=every))


def trim_completions(connection: Connection, most: int) -> None:
    """Keep the newest `most` answers of the completion cache."""
    oldest = select(completions.c.created).order_by(completions.c.created.desc()).offset(most).limit(1)
    moment = connection.execute(oldest).scalar_one_or_none()
    if moment is not None:
        connection.execute(delete(completions).where(completions.c.created <= moment))


def clear_journal(connection: Connection, run_id: str) -> None:
    """Delete the run's journal: no call is in flight any more."""
    connection.execute(delete(journal).where(journal.c.run_id == run_id))


def _journal_row(run_id: str, entry: JournalEntry) -> dict[str, Any]:
    completion = entry.completion
    return {
        "run_id": run_id,
        "digest": entry.digest,
        "role": entry.role,
        "model": completion.model,
        "attempts": completion.attempts,
        **_usage_row(completion.usage),
        "finish_reason": completion.finish_reason,
        "text": completion.text,
        "from_cache": completion.from_cache,
        "escalated": entry.escalated,
    }


def _completion_row(key: str, completion: Completion, created: datetime) -> dict[str, Any]:
    return {
        "digest": key,
        "created": created,
        "model": completion.model,
        "finish_reason": completion.finish_reason,
        "text": completion.text,
    }


def _next(connection: Connection, table: Table, column: str, run_id: str) -> int:
    last = connection.execute(select(func.max(table.c[column])).where(table.c.run_id == run_id)).scalar_one()
    return 0 if last is None else int(last) + 1


def _add_outcomes(
    connection: Connection,
    run_id: str,
    records: Sequence[OutcomeRecord],
    *,
    batch: int | None = None,
    evaluation: int | None = None,
) -> None:
    if not records:
        return
    first = _next(connection, outcomes, "seq", run_id)
    place = {"run_id": run_id, "batch": batch, "evaluation": evaluation}
    connection.execute(
        insert(outcomes), [{**place, "seq": seq, **_outcome_row(record)} for seq, record in enumerate(records, first)]
    )


def _add_calls(
    connection: Connection,
    run_id: str,
    records: Sequence[CallRecord],
    *,
    batch: int | None = None,
    evaluation: int | None = None,
) -> None:
    if not records:
        return
    connection.execute(
        delete(journal).where(journal.c.run_id == run_id, journal.c.digest == bindparam("committed")),
        [{"committed": record.digest} for record in records],
    )
    first = _next(connection, calls, "seq", run_id)
    place = {"run_id": run_id, "batch": batch, "evaluation": evaluation}
    connection.execute(
        insert(calls), [{**place, "seq": seq, **_call_row(record)} for seq, record in enumerate(records, first)]
    )


def _usage_row(usage: Usage) -> dict[str, Any]:
    return {name: getattr(usage, name) for name in _USAGE_FIELDS}


_USAGE_FIELDS = tuple(field.name for field in fields(Usage))
_OUTCOME_FIELDS = tuple(field.name for field in fields(OutcomeRecord))


def _outcome_row(record: OutcomeRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in _OUTCOME_FIELDS}


def _call_row(record: CallRecord) -> dict[str, Any]:
    return {
        "role": record.role,
        "sample_id": record.sample_id,
        "round": record.round,
        "digest": record.digest,
        "model": record.model,
        **_usage_row(record.usage),
        "finish_reason": record.finish_reason,
        "parsed": record.parsed,
        "error": record.error,
        "text": record.text,
        "from_cache": record.from_cache,
        "escalated": record.escalated,
    }
