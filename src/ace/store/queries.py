"""The queries of a run, its batches and what came of them. Each function reads in the caller's transaction.

Only `calls` and `outcomes` load answers' texts; everything a list shows comes from narrow columns and sums.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Row, ScalarSelect, Select, case, func, select

from ace.playbook.apply import SkippedOperation, carried_out
from ace.playbook.delta import Delta
from ace.playbook.playbook import Playbook
from ace.store import schema
from ace.store.lease import is_live, owner_of
from ace.store.records import (
    BatchInfo,
    DeltaInfo,
    EvaluationInfo,
    FailureRecord,
    OutcomeRecord,
    Run,
    VersionInfo,
    utcnow,
)

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


def newest_run(connection: Connection, *, but_mode: str) -> str | None:
    """The id of the newest run of any other mode; None where there is none."""
    table = schema.runs
    query = select(table.c.id, table.c.settings).order_by(table.c.created.desc(), table.c.id.desc())
    rows = connection.execution_options(stream_results=True).execute(query)
    return next((row.id for row in rows if row.settings.get("mode") != but_mode), None)


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
            count_where(outcome.c.correct).label("correct"),
            count_where(outcome.c.status == "failed").label("failed"),
            count_where(outcome.c.correct & ~outcome.c.first_correct).label("corrected"),
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


def count_where(condition: ColumnElement[bool]) -> ColumnElement[int]:
    """Count the rows for which `condition` holds."""
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
    query = of_place(table, run_id, batch, evaluation)
    skip = {"run_id", "seq", "batch", "evaluation"}
    names = [column.name for column in table.c if column.name not in skip]
    return tuple(OutcomeRecord(**{name: row._mapping[name] for name in names}) for row in connection.execute(query))


def failed_samples(connection: Connection, run_id: str) -> int:
    """Count the outcomes of samples that failed and were not retried."""
    outcome = schema.outcomes
    query = select(func.count()).where(
        outcome.c.run_id == run_id, outcome.c.status == "failed", outcome.c.retried_in.is_(None)
    )
    return connection.execute(query).scalar_one()


def failures(connection: Connection, run_id: str, limit: int) -> tuple[FailureRecord, ...]:
    """The first failed samples, then the first calls whose answers could not be read: `limit` of each."""
    outcome, call = schema.outcomes, schema.calls
    samples = select(outcome).where(outcome.c.run_id == run_id, outcome.c.status == "failed")
    unread = select(call).where(call.c.run_id == run_id, ~call.c.parsed)
    return (
        *(
            FailureRecord(row.batch, row.evaluation, row.sample_id, None, row.error or "", row.answer, None)
            for row in connection.execute(samples.order_by(outcome.c.seq).limit(limit))
        ),
        *(
            FailureRecord(row.batch, row.evaluation, row.sample_id, row.role, row.error or "", row.text, row.digest)
            for row in connection.execute(unread.order_by(call.c.seq).limit(limit))
        ),
    )


def failure_causes(connection: Connection, run_id: str) -> dict[str, int]:
    """Count the failed samples and unread answers by their errors, the most frequent first."""
    outcome, call = schema.outcomes, schema.calls
    rows = (
        select(outcome.c.error)
        .where(outcome.c.run_id == run_id, outcome.c.status == "failed")
        .union_all(select(call.c.error).where(call.c.run_id == run_id, ~call.c.parsed))
        .subquery()
    )
    number = func.count().label("number")
    query = select(rows.c.error, number).group_by(rows.c.error).order_by(number.desc(), rows.c.error)
    return {row.error or "": row.number for row in connection.execute(query)}


def stops(connection: Connection, run_id: str) -> dict[str, int]:
    """Count the samples of all batches by why reflection ended, the most frequent first."""
    outcome, number = schema.outcomes, func.count().label("number")
    query = select(outcome.c.stop, number).where(outcome.c.run_id == run_id, outcome.c.stop.is_not(None))
    return {row.stop: row.number for row in connection.execute(query.group_by(outcome.c.stop).order_by(number.desc()))}


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


def of_place(table: FromClause, run_id: str, batch: int | None, evaluation: int | None) -> Select[Any]:
    """Select the rows of a batch, of an evaluation, or (both None) of all batches, in the order of commit."""
    query = select(table).where(table.c.run_id == run_id).order_by(table.c.seq)
    if evaluation is not None:
        return query.where(table.c.evaluation == evaluation)
    return query.where(table.c.batch.is_not(None) if batch is None else table.c.batch == batch)
