"""Requests of people to running runs, and their edits of playbooks. Each function works in the caller's transaction."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection, func, select, update

from ace.errors import PlaybookError, RunNotRunningError
from ace.playbook.apply import apply
from ace.playbook.delta import Delta
from ace.store import inserts, queries
from ace.store.lease import new_owner, release_lease, take
from ace.store.records import Control, utcnow
from ace.store.schema import playbook_versions, runs


def request_control(connection: Connection, run_id: str, control: Control | None) -> None:
    """Ask the process of a running run to pause, to stop, or (None) to go on. RunNotRunningError where none runs."""
    (run,) = queries.runs(connection, run_id=run_id)
    if not run.running:
        status = "abandoned" if run.abandoned else run.status
        raise RunNotRunningError(f"run {run_id} is not running; its status is {status}", run=run_id, status=status)
    if run.control == "stop":
        raise RunNotRunningError(f"run {run_id} is stopping already", run=run_id, status="stopping")
    connection.execute(update(runs).where(runs.c.id == run_id).values(control=control))


def read_control(connection: Connection, run_id: str) -> Control | None:
    """Read what somebody requested of the run."""
    control: Control | None = connection.execute(select(runs.c.control).where(runs.c.id == run_id)).scalar_one()
    return control


def edit_playbook(connection: Connection, run_id: str, delta: Delta, *, author: str, version: int) -> int:
    """Apply the delta of a person to the run's current playbook, and return the new version.

    RunLockedError while a process runs the run. PlaybookError where the current version is not `version`, or where an
    operation cannot be carried out.
    """
    owner = new_owner()
    take(connection, run_id, owner)
    current = current_version(connection, run_id)
    if current != version:
        raise PlaybookError(f"the playbook of run {run_id} is at version {current} by now, not {version}")
    playbook = queries.playbook(connection, run_id, current)
    assert playbook is not None
    applied = apply(playbook, delta)
    if applied.skipped:
        raise PlaybookError("; ".join(skipped.reason for skipped in applied.skipped))
    table = playbook_versions
    of_run = table.c.run_id == run_id
    step, newest = connection.execute(select(func.max(table.c.step), func.max(table.c.version)).where(of_run)).one()
    edit = connection.execute(select(func.max(table.c.edit)).where(of_run, table.c.step == step)).scalar_one() + 1
    edited = replace(applied.playbook, version=newest + 1)
    inserts.add_playbook(connection, run_id, step, edited, utcnow(), delta=delta, edit=edit, author=author)
    best = runs.c.best_version.is_not(None)
    connection.execute(update(runs).where(runs.c.id == run_id, best).values(best_version=edited.version))
    release_lease(connection, run_id, owner.token)
    return edited.version


def current_version(connection: Connection, run_id: str) -> int:
    """The version that an edit changes: the best one of a run that is done, else the one that a resumed run goes on."""
    (run,) = queries.runs(connection, run_id=run_id)
    if run.status == "done" and run.best_version is not None:
        return run.best_version
    newest = queries.playbook(connection, run_id, None)
    assert newest is not None
    return newest.version
