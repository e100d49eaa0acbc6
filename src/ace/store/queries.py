"""The queries of a run, its batches and what came of them. Each function reads in the caller's transaction.

Only `calls` and `outcomes` load answers' texts; everything a list shows comes from narrow columns and sums.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Row, ScalarSelect, Select, case, func, literal, select

from ace.playbook.apply import SkippedOperation, carried_out
from ace.playbook.delta import Delta
from ace.playbook.playbook import Playbook
from ace.roles.role_call import CallRecord
from ace.store import schema
from ace.store.lease import is_live, owner_of
from ace.store.records import (
    BatchInfo,
    DeltaInfo,
    EvaluationInfo,
    JournalEntry,
    OutcomeRecord,
    RoleUsage,
    Run,
    VersionInfo,
    utcnow,
)
from ace.types import Completion, RoleName, Usage

_RUN_FIELDS = (
    "id",
    "name",
    "created",
    "finished",
    "ace_version",
    "settings",
    "settings_digest",
    "task",
    "task_digest",
    "pack",
    "pack_digest",
    "status",
    "summary",
    "best_version",
    "error",
    "control",
    "paused",
)


def runs(
    connection: Connection, *, run_id: str | None = None, settings: str | None = None, limit: int | None = None
) -> tuple[Run, ...]:
    """The run `run_id`, or the newest `limit` ones, newest first; only those with the settings digest `settings`."""
    table = schema.runs
    committed = (
        select(func.count()).select_from(schema.batches).where(schema.batches.c.run_id == table.c.id).scalar_subquery()
    )
    query = select(table, committed.label("batches")).order_by(table.c.created.desc(), table.c.id.desc()).limit(limit)
    if run_id is not None:
        query = query.where(table.c.id == run_id)
    if settings is not None:
        query = query.where(table.c.settings_digest == settings)
    now = utcnow()
    newest_first = []
    for row in connection.execute(query):
        owner = owner_of(row)
        fields = {name: row._mapping[name] for name in _RUN_FIELDS}
        live = owner is not None and is_live(owner, now)
        newest_first.append(Run(**fields, owner=owner, live=live, batches=row.batches, notes=tuple(row.notes or ())))
    return tuple(newest_first)


def has_run(connection: Connection, run_id: str) -> bool:
    """Return True if the store has a run with exactly this id."""
    return connection.execute(select(schema.runs.c.id).where(schema.runs.c.id == run_id)).first() is not None


def run_ids(connection: Connection) -> list[str]:
    """Every run's id, newest first."""
    table = schema.runs
    return list(connection.execute(select(table.c.id).order_by(table.c.created.desc(), table.c.id.desc())).scalars())


def playbook(connection: Connection, run_id: str, version: int | None) -> Playbook | None:
    """The last committed playbook (of `version`), None where there is none."""
    table = schema.playbook_versions
    query = select(table.c.playbook).where(table.c.run_id == run_id).order_by(*_newest_first()).limit(1)
    if version is not None:
        query = query.where(table.c.version == version)
    body = connection.execute(query).scalar_one_or_none()
    return None if body is None else Playbook.from_json(body)


def playbook_after(connection: Connection, run_id: str, batch: int) -> Playbook | None:
    """The playbook after `batch` (-1: the initial one) and the edits that followed; None if it is not committed."""
    table = schema.playbook_versions
    query = select(table.c.playbook).where(table.c.run_id == run_id, table.c.step == batch + 1)
    query = query.order_by(*_newest_first()).limit(1)
    body = connection.execute(query).scalar_one_or_none()
    return None if body is None else Playbook.from_json(body)


def version_range(connection: Connection, run_id: str) -> tuple[int, int]:
    """The lowest and the highest playbook version of the run."""
    table = schema.playbook_versions
    query = select(func.min(table.c.version), func.max(table.c.version)).where(table.c.run_id == run_id)
    low, high = connection.execute(query).one()
    return low, high


def playbook_versions(connection: Connection, run_id: str) -> tuple[VersionInfo, ...]:
    """All committed playbooks without their text, in order."""
    return tuple(
        VersionInfo(
            version=row.version,
            batch=row.batch,
            digest=row.digest,
            bullets=row.bullets,
            operations=dict(carried_out(_delta(row), _skipped(row.skipped))),
            skipped=len(row.skipped["reasons"]),
            created=row.created,
            author=row.author,
        )
        for row in connection.execute(_steps(run_id))
    )


def deltas(connection: Connection, run_id: str) -> tuple[DeltaInfo, ...]:
    """The delta of every batch and edit, in order."""
    return tuple(
        DeltaInfo(row.batch, row.version, _delta(row), _skipped(row.skipped), row.created, row.author)
        for row in connection.execute(_steps(run_id))
        if row.batch is not None or row.author is not None
    )


def _newest_first() -> tuple[ColumnElement[Any], ...]:
    table = schema.playbook_versions
    return table.c.step.desc(), table.c.edit.desc()


def _steps(run_id: str) -> Select[Any]:
    table = schema.playbook_versions
    narrow = [column for column in table.c if column.name != "playbook"]
    return select(*narrow).where(table.c.run_id == run_id).order_by(table.c.step, table.c.edit)


def _delta(row: Row[*tuple[Any, ...]]) -> Delta:
    return Delta.from_json(row.delta)


def _skipped(body: Mapping[str, Any]) -> tuple[SkippedOperation, ...]:
    operations = Delta.from_json(body["delta"]).operations
    return tuple(SkippedOperation(o, reason) for o, reason in zip(operations, body["reasons"], strict=True))


def batches(connection: Connection, run_id: str, *, last: bool = False) -> tuple[BatchInfo, ...]:
    """The committed batches in order, or only the last one."""
    batch, outcome, version = schema.batches, schema.outcomes, schema.playbook_versions
    query = (
        select(
            batch,
            version.c.version.label("playbook_version"),
            func.count(outcome.c.seq).label("samples"),
            _count(outcome.c.correct).label("correct"),
            _count(outcome.c.status == "failed").label("failed"),
            _count(outcome.c.correct & ~outcome.c.first_correct).label("corrected"),
            _tokens("prompt_tokens").label("prompt_tokens"),
            _tokens("cached_tokens").label("cached_tokens"),
        )
        .join(
            version,
            (version.c.run_id == batch.c.run_id) & (version.c.step == batch.c.idx + 1) & (version.c.edit == 0),
        )
        .outerjoin(outcome, (outcome.c.run_id == batch.c.run_id) & (outcome.c.batch == batch.c.idx))
        .where(batch.c.run_id == run_id)
        .group_by(*batch.c, version.c.version)
        .order_by(batch.c.idx)
    )
    if last:
        newest = select(func.max(batch.c.idx)).where(batch.c.run_id == run_id).scalar_subquery()
        query = query.where(batch.c.idx == newest)
    return tuple(
        BatchInfo(
            index=row.idx,
            epoch=row.epoch,
            playbook_version=row.playbook_version,
            compacted=row.compacted,
            window=row.window_info,
            started=row.started,
            finished=row.finished,
            errors=tuple(row.errors or ()),
            samples=row.samples,
            correct=row.correct,
            failed=row.failed,
            corrected=row.corrected,
            prompt_tokens=int(row.prompt_tokens),
            cached_tokens=int(row.cached_tokens),
        )
        for row in connection.execute(query)
    )


def _tokens(name: str) -> ScalarSelect[Any]:
    """The sum of that column over a batch's calls."""
    call, batch = schema.calls, schema.batches
    return (
        select(func.coalesce(func.sum(call.c[name]), 0))
        .where(call.c.run_id == batch.c.run_id, call.c.batch == batch.c.idx)
        .correlate(batch)
        .scalar_subquery()
    )


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)


def evaluations(connection: Connection, run_id: str) -> tuple[EvaluationInfo, ...]:
    """The committed evaluations, in order."""
    table = schema.evaluations
    query = select(table).where(table.c.run_id == run_id).order_by(table.c.idx)
    return tuple(
        EvaluationInfo(
            index=row.idx,
            label=row.label,
            split=row.split,
            playbook_version=row.playbook_version,
            after_batch=row.after_batch,
            n=row.n,
            correct=row.correct,
            failed=row.failed,
            started=row.started,
            finished=row.finished,
            metrics=row.metrics or {},
        )
        for row in connection.execute(query)
    )


def outcomes(
    connection: Connection, run_id: str, *, batch: int | None, evaluation: int | None
) -> tuple[OutcomeRecord, ...]:
    """The outcomes of a batch, of an evaluation, or (both None) of all batches in the order of commit."""
    table = schema.outcomes
    query = _of(table, run_id, batch, evaluation)
    skip = {"run_id", "seq", "batch", "evaluation"}
    names = [column.name for column in table.c if column.name not in skip]
    return tuple(OutcomeRecord(**{name: row._mapping[name] for name in names}) for row in connection.execute(query))


def calls(connection: Connection, run_id: str, *, batch: int | None, evaluation: int | None) -> tuple[CallRecord, ...]:
    """The calls of a batch, of an evaluation, or (both None) of all batches, with their texts."""
    return tuple(
        CallRecord(
            role=row.role,
            sample_id=row.sample_id,
            round=row.round,
            digest=row.digest,
            model=row.model,
            usage=_usage(row),
            finish_reason=row.finish_reason,
            text=row.text,
            parsed=row.parsed,
            error=row.error,
            from_cache=row.from_cache,
            escalated=row.escalated,
        )
        for row in connection.execute(_of(schema.calls, run_id, batch, evaluation))
    )


def journal(connection: Connection, run_id: str) -> tuple[JournalEntry, ...]:
    """The answered calls that no batch or evaluation holds yet."""
    table = schema.journal
    query = select(table).where(table.c.run_id == run_id)
    return tuple(
        JournalEntry(
            role=row.role,
            digest=row.digest,
            completion=Completion(row.text, row.finish_reason, _usage(row), row.model, row.attempts, row.from_cache),
            escalated=row.escalated,
        )
        for row in connection.execute(query)
    )


def failed_samples(connection: Connection, run_id: str) -> int:
    """Count the outcomes of samples that failed and were not retried."""
    outcome = schema.outcomes
    query = select(func.count()).where(
        outcome.c.run_id == run_id, outcome.c.status == "failed", outcome.c.retried_in.is_(None)
    )
    return connection.execute(query).scalar_one()


def errors(connection: Connection, run_id: str) -> tuple[str, ...]:
    """Why samples failed or learned nothing, and why curators' insights were lost, in the order of commit."""
    outcome, call, batch = schema.outcomes, schema.calls, schema.batches
    failed = select(outcome.c.error).where(
        outcome.c.run_id == run_id, outcome.c.error.is_not(None), outcome.c.retried_in.is_(None)
    )
    unread = select(call.c.error).where(call.c.run_id == run_id, call.c.role == "curator", ~call.c.parsed)
    lost = select(batch.c.errors).where(batch.c.run_id == run_id, batch.c.errors.is_not(None))
    return (
        *connection.execute(failed.order_by(outcome.c.seq)).scalars(),
        *(f"curator: ParseError: {error}" for error in connection.execute(unread.order_by(call.c.seq)).scalars()),
        *(error for texts in connection.execute(lost.order_by(batch.c.idx)).scalars() for error in texts),
    )


def _of(table: FromClause, run_id: str, batch: int | None, evaluation: int | None) -> Select[Any]:
    query = select(table).where(table.c.run_id == run_id).order_by(table.c.seq)
    if evaluation is not None:
        return query.where(table.c.evaluation == evaluation)
    return query.where(table.c.batch.is_not(None) if batch is None else table.c.batch == batch)


_SUMS = tuple(field.name for field in fields(Usage))


def usage_by_tier(connection: Connection, run_id: str) -> dict[tuple[RoleName, str | None], RoleUsage]:
    """By role and why it was escalated; what only the journal holds was not parsed yet."""
    committed, journaled = schema.calls, schema.journal
    rows = (
        select(
            committed.c.role,
            committed.c.escalated,
            committed.c.from_cache,
            case((committed.c.parsed, 0), else_=1),
            *(committed.c[name] for name in _SUMS),
        )
        .where(committed.c.run_id == run_id)
        .union_all(
            select(
                journaled.c.role,
                journaled.c.escalated,
                journaled.c.from_cache,
                literal(0),
                *(journaled.c[name] for name in _SUMS),
            ).where(journaled.c.run_id == run_id)
        )
        .subquery()
    )
    role, escalated, from_cache, unparsed, *sums = rows.c
    query = (
        select(
            role.label("role"),
            escalated.label("escalated"),
            _count(~from_cache).label("calls"),
            _count(from_cache).label("from_cache"),
            func.sum(unparsed).label("unparsed"),
            *(func.sum(column).label(name) for name, column in zip(_SUMS, sums, strict=True)),
        )
        .group_by(role, escalated)
        .order_by(role, escalated)
    )
    return {
        (row.role, row.escalated): RoleUsage(int(row.calls), _usage(row), int(row.unparsed), int(row.from_cache))
        for row in connection.execute(query)
    }


def completion(connection: Connection, digest: str) -> Completion | None:
    """An answer of the completion cache."""
    table = schema.completions
    row = connection.execute(select(table).where(table.c.digest == digest)).one_or_none()
    return None if row is None else Completion(row.text, row.finish_reason, Usage(), row.model, from_cache=True)


def _usage(row: Row[*tuple[Any, ...]]) -> Usage:
    return Usage(
        prompt_tokens=int(row.prompt_tokens),
        cached_tokens=int(row.cached_tokens),
        completion_tokens=int(row.completion_tokens),
        queue_s=row.queue_s,
        ttft_s=row.ttft_s,
        total_s=row.total_s,
        drafted_tokens=int(row.drafted_tokens),
        accepted_tokens=int(row.accepted_tokens),
        draft_steps=int(row.draft_steps),
        reasoning_tokens=int(row.reasoning_tokens),
        estimated_tokens=int(row.estimated_tokens),
    )
