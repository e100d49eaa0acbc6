"""The JSON that `--json` prints: one object, with its `kind` and the version of the schema. See `docs/json.md`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ace.playbook import Bullet, Playbook, PlaybookDiff
from ace.reporting.playbook_blame import BlamedBullet
from ace.store import BatchInfo, CreditRecord, EvaluationInfo, Run, RunReader, VersionInfo
from ace.types import fields_of

SCHEMA = "ace/1"
"""Raised when a key is renamed or removed; new keys do not raise it."""


def dump(kind: str, **values: Any) -> str:
    """One JSON object, indented, with times in ISO 8601 and characters as they are."""
    body = {"schema": SCHEMA, "kind": kind, **values}
    return json.dumps(body, indent=2, ensure_ascii=False, default=_plain)


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{value!r} is no JSON value")


def runs_json(runs: Sequence[Run]) -> str:
    """The runs, without their settings."""
    return dump("runs", runs=[_run(run) for run in runs])


def run_json(store: RunReader, run: Run) -> str:
    """One run: its settings, evaluations, batches, versions and summary."""
    return dump(
        "run",
        run={**_run(run), "settings": run.settings, "summary": run.summary, "notes": list(run.notes)},
        evaluations=[_evaluation(each) for each in store.evaluations(run.id)],
        batches=[_batch(each) for each in store.batches(run.id)],
        versions=[_version(each) for each in store.playbook_versions(run.id)],
        usage={
            role: {**fields_of(used.usage), "calls": used.calls, "from_cache": used.from_cache}
            for role, used in store.usage_by_role(run.id).items()
        },
    )


def playbook_json(playbook: Playbook, credit: Mapping[str, CreditRecord]) -> str:
    """The playbook as `ace playbook export FILE.json` writes it, with the kind, and the bullets' credit by id."""
    return dump(
        "playbook",
        playbook=playbook.to_json(),
        credit={bullet: _credit(record) for bullet, record in credit.items()},
    )


def diff_json(difference: PlaybookDiff) -> str:
    """The bullets by what became of them."""
    return dump(
        "diff",
        added=[bullet.to_json() for bullet in difference.added],
        removed=[bullet.to_json() for bullet in difference.removed],
        updated=[_change(change.before, change.after) for change in difference.updated],
        retagged=[_change(change.before, change.after) for change in difference.retagged],
        quarantined=[bullet.to_json() for bullet in difference.quarantined],
    )


def blame_json(bullets: Sequence[BlamedBullet]) -> str:
    """The bullets with who wrote their present text."""
    return dump("blame", bullets=[{**fields_of(each), "credit": _credit(each.credit)} for each in bullets])


def _credit(record: CreditRecord | None) -> dict[str, Any] | None:
    if record is None:
        return None
    values = fields_of(record)
    del values["bullet"], values["content"]
    return values


def _run(run: Run) -> dict[str, Any]:
    summary: Mapping[str, Any] = run.summary or {}
    return {
        "id": run.id,
        "name": run.name,
        "status": "abandoned" if run.abandoned else run.status,
        "paused": run.paused,
        "task": run.task,
        "model": summary.get("model"),
        "created": run.created,
        "finished": run.finished,
        "batches": run.batches,
        "accuracy_before": summary.get("accuracy_before"),
        "accuracy_after": summary.get("accuracy_after"),
        "best_version": run.best_version,
        "error": run.error,
    }


def _evaluation(each: EvaluationInfo) -> dict[str, Any]:
    return {**fields_of(each), "metrics": dict(each.metrics), "accuracy": each.accuracy}


def _batch(each: BatchInfo) -> dict[str, Any]:
    values = fields_of(each)
    del values["window"]
    return values


def _version(each: VersionInfo) -> dict[str, Any]:
    return {**fields_of(each), "operations": dict(each.operations)}


def _change(before: Bullet, after: Bullet) -> dict[str, Any]:
    return {"before": before.to_json(), "after": after.to_json()}
