"""Queries about model calls: their texts and usage, their prompts, and what the journal and the cache have of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import Connection, Row, case, func, literal, select

from ace.roles.role_call import CallRecord
from ace.store import schema
from ace.store.database import insert_new
from ace.store.queries import count_where, of_place
from ace.store.records import JournalEntry, PlaceUsage, RoleUsage
from ace.store.schema import prompt_texts, prompts
from ace.types import Completion, Message, RoleName, Usage


def calls(connection: Connection, run_id: str, *, batch: int | None, evaluation: int | None) -> tuple[CallRecord, ...]:
    """The calls of a batch, of an evaluation, or (both None) of all batches, with their texts."""
    return tuple(_call(row) for row in connection.execute(of_place(schema.calls, run_id, batch, evaluation)))


def call(connection: Connection, run_id: str, request: str) -> CallRecord | None:
    """The first call of the run with the request of this digest."""
    table = schema.calls
    query = select(table).where(table.c.run_id == run_id, table.c.digest == request).order_by(table.c.seq).limit(1)
    row = connection.execute(query).one_or_none()
    return None if row is None else _call(row)


def calls_that_name(connection: Connection, run_id: str, bullet: str, limit: int) -> tuple[CallRecord, ...]:
    """The generator's newest calls whose answers contain the bullet's id, newest first."""
    table = schema.calls
    query = select(table).where(table.c.run_id == run_id, table.c.role == "generator", table.c.text.contains(bullet))
    return tuple(_call(row) for row in connection.execute(query.order_by(table.c.seq.desc()).limit(limit)))


def usage_by_place(connection: Connection, run_id: str) -> tuple[PlaceUsage, ...]:
    """The usage of each batch and each evaluation."""
    table = schema.calls
    query = (
        select(
            table.c.batch,
            table.c.evaluation,
            func.count().label("calls"),
            func.sum(table.c.completion_tokens).label("tokens"),
            func.sum(table.c.total_s).label("seconds"),
        )
        .where(table.c.run_id == run_id)
        .group_by(table.c.batch, table.c.evaluation)
    )
    return tuple(
        PlaceUsage(row.batch, row.evaluation, row.calls, int(row.tokens), float(row.seconds))
        for row in connection.execute(query)
    )


def _call(row: Row[*tuple[Any, ...]]) -> CallRecord:
    return CallRecord(
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
            count_where(~from_cache).label("calls"),
            count_where(from_cache).label("from_cache"),
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


def add_prompts(connection: Connection, added: Mapping[str, tuple[Message, ...]]) -> None:
    """Insert prompts by the digests of their requests. Existing ones stay."""
    texts: dict[str, str] = {}
    rows = []
    for request, messages in added.items():
        parts = []
        for message in messages:
            digest = text_digest(message.content)
            texts[digest] = message.content
            parts.append([message.role, digest])
        rows.append({"digest": request, "messages": parts})
    if rows:
        new_texts = [{"digest": digest, "text": text} for digest, text in texts.items()]
        connection.execute(insert_new(connection.dialect, prompt_texts), new_texts)
        connection.execute(insert_new(connection.dialect, prompts), rows)


def find_prompts(connection: Connection, requests: Sequence[str]) -> dict[str, tuple[Message, ...]]:
    """Read the prompts of the requests with these digests, without those that were not stored."""
    rows = connection.execute(select(prompts).where(prompts.c.digest.in_(requests)))
    parts = {row.digest: row.messages for row in rows}
    digests = sorted({digest for messages in parts.values() for _, digest in messages})
    texts = {
        row.digest: row.text
        for row in connection.execute(select(prompt_texts).where(prompt_texts.c.digest.in_(digests)))
    }
    return {
        request: tuple(Message(role, texts[digest]) for role, digest in messages) for request, messages in parts.items()
    }


def text_digest(text: str) -> str:
    """`sha256:` and the hash of the text."""
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
