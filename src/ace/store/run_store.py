"""Write access to a store: one transaction a batch, one owner a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import Connection, insert, select, update

from ace.store import call_queries, inserts, lease, run_ids, schema
from ace.store.database import Database, open_database, store_errors, without_password, write_transaction
from ace.store.external import credit_queries, feedback_queries, people
from ace.store.migrations import migrate
from ace.store.records import (
    BatchRecord,
    Control,
    CreditRecord,
    EvaluationAmendment,
    EvaluationRecord,
    Exchange,
    Feedback,
    FeedbackStatus,
    JournalEntry,
    RunStatus,
    utcnow,
)
from ace.store.run_reader import RunReader

if TYPE_CHECKING:
    from ace.config import RunSettings
    from ace.playbook.delta import Delta
    from ace.playbook.playbook import Playbook
    from ace.types import Completion, Message


_UNCONTROLLED: Mapping[str, None] = {"control": None, "paused": None}
CACHED_COMPLETIONS = 200_000
"""The completion cache's size: the end of a run removes the oldest answers beyond."""


class RunStore(RunReader):
    """Runs in one database. Synchronous, usable from several threads; a commit takes a few ms and one fsync.

    Every method raises StoreError where the database fails, and RunNotFoundError for an unknown run id.
    """

    def __init__(self, database: Database, *, heartbeat_s: float = lease.HEARTBEAT_S) -> None:
        super().__init__(database)
        self._tokens: dict[str, str] = {}
        self._heartbeat = lease.Heartbeat(database.engine, heartbeat_s)

    @classmethod
    def open(cls, url: str | Path, *, create: bool = True, heartbeat_s: float = lease.HEARTBEAT_S) -> RunStore:
        """`url`: a path, `sqlite:///path`, `sqlite://` (memory), `postgresql://...`. Brings an older schema up to date.

        Every `heartbeat_s` seconds the owner of a run says that it lives. StoreError (missing while `create` is False,
        unwritable, not a store), StoreVersionError (a newer schema).
        """
        database = open_database(url, create=create)
        try:
            with store_errors(database.name):
                migrate(database.engine, database.name, create=create)
        except BaseException:
            database.engine.dispose()
            raise
        return cls(database, heartbeat_s=heartbeat_s)

    def close(self) -> None:
        """Give up every run that this store owns, then the connections. A second call does nothing."""
        self._heartbeat.stop()
        try:
            for run_id in tuple(self._tokens):
                self.release(run_id)
        finally:
            self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Writing: every method but create_run, request_control and edit_playbook needs this store to own the run.

    def create_run(
        self,
        settings: RunSettings,
        *,
        task_digest: str,
        pack_digest: str,
        playbook: Playbook,
        task: str | None = None,
        pack: str | None = None,
    ) -> str:
        """A new run with status "running" and its initial playbook, owned by this store. Returns its id.

        `task` and `pack` are names for people, by default those of the settings.
        """
        now = utcnow()
        owner = lease.new_owner()
        with self._writing() as connection:
            run_id = run_ids.new_run_id(settings.name, now)
            while connection.scalar(select(schema.runs.c.id).where(schema.runs.c.id == run_id)) is not None:
                run_id = run_ids.new_run_id(settings.name, now)
            connection.execute(
                insert(schema.runs).values(
                    id=run_id,
                    name=settings.name,
                    created=now,
                    ace_version=_ace_version(),
                    settings={**settings.model_dump(mode="json"), "store": without_password(settings.store)},
                    settings_digest=settings.digest,
                    task=task or settings.task.name,
                    task_digest=task_digest,
                    pack=pack or settings.prompts,
                    pack_digest=pack_digest,
                    status="running",
                )
            )
            lease.take(connection, run_id, owner)
            inserts.add_playbook(connection, run_id, 0, playbook, now)
        self._own(run_id, owner.token)
        return run_id

    def acquire(self, run_id: str, *, reopen: bool = True) -> None:
        """Own the run; RunLockedError where a live process does. `reopen` sets its status to "running" again."""
        with self._writing() as connection:
            self._require(connection, run_id)
            if run_id in self._tokens:
                lease.check(connection, run_id, self._tokens[run_id])
                token = self._tokens[run_id]
            else:
                owner = lease.new_owner()
                lease.take(connection, run_id, owner)
                token = owner.token
            if reopen:
                connection.execute(
                    update(schema.runs)
                    .where(schema.runs.c.id == run_id)
                    .values(status="running", finished=None, **_UNCONTROLLED)
                )
        self._own(run_id, token)

    def release(self, run_id: str) -> None:
        """Give the run up; nothing happens where this store does not own it."""
        token = self._tokens.pop(run_id, None)
        if token is None:
            return
        self._heartbeat.keep(frozenset(self._tokens.values()))
        with self._writing() as connection:
            lease.release_lease(connection, run_id, token)

    def commit_batch(self, record: BatchRecord) -> None:
        """The whole batch in one transaction, on disk when this returns.

        RunLockedError if the run was taken over; StoreError if `record.index` is not the run's next batch.
        """
        with self._writing(record.run) as connection:
            inserts.add_batch(connection, record)

    def commit_evaluation(self, record: EvaluationRecord) -> int:
        """The whole evaluation in one transaction. Returns its index in the run."""
        with self._writing(record.run) as connection:
            return inserts.add_evaluation(connection, record)

    def amend_evaluation(self, run_id: str, index: int, amended: EvaluationAmendment) -> None:
        """Put other outcomes in the places of failed ones of evaluation `index`, in one transaction."""
        with self._writing(run_id) as connection:
            inserts.amend_evaluation(connection, run_id, index, amended)

    def commit_journal(
        self,
        run_id: str,
        entries: Sequence[JournalEntry],
        *,
        completions: Mapping[str, Completion] = {},
        prompts: Mapping[str, tuple[Message, ...]] = {},
        notes: Sequence[str] = (),
    ) -> None:
        """Keep answered calls until their batch or evaluation is committed, which removes them again.

        Answers for the completion cache, by their keys, prompts, by the digests of their requests, and what backends
        had to change are kept for good.

        They survive the death of the process. Syncing each would cost more than many a call: a power loss may take the
        last ones, which are then asked again.
        """
        with self._writing(run_id, synced=False) as connection:
            inserts.add_journal(connection, run_id, entries)
            inserts.add_completions(connection, completions)
            call_queries.add_prompts(connection, prompts)
            inserts.add_notes(connection, run_id, notes)

    def request_control(self, run_id: str, control: Control | None) -> None:
        """Ask the process that runs the run to pause, to stop, or (None) to go on.

        RunNotRunningError where no process runs it.
        """
        with self._writing() as connection:
            self._require(connection, run_id)
            people.request_control(connection, run_id, control)

    def set_paused(self, run_id: str, paused: bool) -> None:
        """Say whether the run makes no model calls because somebody paused it."""
        with self._writing(run_id, synced=False) as connection:
            since = utcnow() if paused else None
            connection.execute(update(schema.runs).where(schema.runs.c.id == run_id).values(paused=since))

    def edit_playbook(self, run_id: str, delta: Delta, *, author: str, version: int) -> int:
        """Apply the delta of a person to version `version` of the run's playbook, and return the new version.

        RunLockedError while a process runs the run. PlaybookError where `version` is not the current one, or where an
        operation cannot be carried out.
        """
        with self._writing() as connection:
            self._require(connection, run_id)
            return people.edit_playbook(connection, run_id, delta, author=author, version=version)

    def record_credit(self, run_id: str, records: Sequence[CreditRecord]) -> None:
        """Store what was measured of bullets of the run's playbook; on disk when this returns.

        Needs no ownership of the run. Repeating a measurement replaces its records.
        """
        with self._writing() as connection:
            self._require(connection, run_id)
            credit_queries.replace_credit(connection, run_id, records)

    def record_feedback(
        self, exchanges: Sequence[Exchange] = (), feedback: Sequence[Feedback] = ()
    ) -> tuple[FeedbackStatus, ...]:
        """Store answered requests and what became of answers, in one transaction; on disk when this returns.

        Needs no ownership of the runs. Returns a status for each feedback. Repeating a call changes nothing.
        """
        with self._writing() as connection:
            feedback_queries.add_exchanges(connection, exchanges)
            return feedback_queries.add_feedback(connection, feedback)

    def trim_exchanges(self, before: datetime) -> int:
        """Remove the exchanges from before then on which there is no feedback. Returns their number."""
        with self._writing() as connection:
            return feedback_queries.trim_exchanges(connection, before)

    def finish_run(
        self,
        run_id: str,
        status: RunStatus,
        *,
        summary: Mapping[str, Any] | None = None,
        best_version: int | None = None,
        error: str | None = None,
    ) -> None:
        """Set how the run ended, by which `error` if by one, and give it up.

        A None leaves the summary or best version that was there.

        A run that is done has no journal any more.
        """
        values: dict[str, Any] = {"status": status, "finished": utcnow(), "error": error, **_UNCONTROLLED}
        if summary is not None:
            values["summary"] = dict(summary)
        if best_version is not None:
            values["best_version"] = best_version
        with self._writing(run_id) as connection:
            connection.execute(update(schema.runs).where(schema.runs.c.id == run_id).values(**values))
            if status == "done":
                inserts.clear_journal(connection, run_id)
                inserts.trim_completions(connection, CACHED_COMPLETIONS)
            lease.release_lease(connection, run_id, self._tokens[run_id])
        self._disown(run_id)

    @contextmanager
    def _writing(self, owned_run: str | None = None, *, synced: bool = True) -> Iterator[Connection]:
        transaction = write_transaction(self.engine, synced=synced)
        with self._database.turn, store_errors(self.name), transaction as connection:
            if owned_run is not None:
                lease.check(connection, owned_run, self._tokens.get(owned_run))
            yield connection

    def _own(self, run_id: str, token: str) -> None:
        self._tokens[run_id] = token
        if self._database.shared:
            self._heartbeat.keep(frozenset(self._tokens.values()))

    def _disown(self, run_id: str) -> None:
        self._tokens.pop(run_id, None)
        self._heartbeat.keep(frozenset(self._tokens.values()))


def _ace_version() -> str:
    try:
        return version("ace-vllm")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return "unknown"
