"""Read access to a store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine

from ace.errors import RunNotFoundError
from ace.store import call_queries, queries, run_ids
from ace.store.database import Database, store_errors
from ace.store.external import credit_queries, feedback_queries, people
from ace.store.records import (
    BatchInfo,
    Control,
    CreditRecord,
    DeltaInfo,
    EvaluationInfo,
    Exchange,
    FailureRecord,
    Feedback,
    JournalEntry,
    OutcomeRecord,
    PlaceUsage,
    RoleUsage,
    Run,
    VersionInfo,
)
from ace.types import Completion, Message, RoleName

if TYPE_CHECKING:
    from ace.playbook.playbook import Playbook
    from ace.roles.role_call import CallRecord


class RunReader:
    """Reads runs. Never waits for a writer, sees whole commits only, and never loads more than it returns.

    Methods that take a run id raise RunNotFoundError for an unknown one.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def engine(self) -> Engine:
        """SQLAlchemy's engine of the database, for queries of your own. What it writes bypasses the run's owner."""
        return self._database.engine

    @property
    def name(self) -> str:
        """Name of the store in messages: its path, or its URL without the password."""
        return self._database.name

    def run(self, run_id: str) -> Run:
        """The run of exactly this id."""
        with self._reading(run_id) as connection:
            return queries.runs(connection, run_id=run_id)[0]

    def resolve(self, name: str) -> str:
        """The id of which `name` is the whole or a unique beginning.

        "latest" is the newest run that is no measurement of a playbook (mode `probe`); the newest of all if each is.
        """
        with self._reading() as connection:
            if name == "latest" and (latest := queries.newest_run(connection, but_mode="probe")) is not None:
                return latest
            return run_ids.resolve(name, queries.run_ids(connection))

    def list_runs(self, limit: int | None = None) -> tuple[Run, ...]:
        """Newest first."""
        with self._reading() as connection:
            return queries.runs(connection, limit=limit)

    def runs_of(self, settings_digest: str) -> tuple[Run, ...]:
        """The runs that were made from these very settings, newest first."""
        with self._reading() as connection:
            return queries.runs(connection, settings=settings_digest)

    def playbook(self, run_id: str, version: int | None = None) -> Playbook:
        """The last committed playbook; with `version` the last one of that number, RunNotFoundError if none is."""
        with self._reading(run_id) as connection:
            playbook = queries.playbook(connection, run_id, version)
            if playbook is None:
                low, high = queries.version_range(connection, run_id)
                raise RunNotFoundError(
                    f"run {run_id} has no playbook version {version}; it has versions {low} to {high}",
                    run=run_id,
                    version=version,
                )
            return playbook

    def version_range(self, run_id: str) -> tuple[int, int]:
        """The lowest and the highest number of the run's playbook versions."""
        with self._reading(run_id) as connection:
            return queries.version_range(connection, run_id)

    def playbook_after(self, run_id: str, batch: int) -> Playbook:
        """The playbook after a batch and the edits that followed it; after -1, the initial one.

        RunNotFoundError if the batch is not committed.
        """
        with self._reading(run_id) as connection:
            playbook = queries.playbook_after(connection, run_id, batch)
            if playbook is None:
                raise RunNotFoundError(f"run {run_id} has no batch {batch}", run=run_id, batch=batch)
            return playbook

    def playbook_versions(self, run_id: str) -> tuple[VersionInfo, ...]:
        """One entry for the initial playbook and one for each batch and edit, in order."""
        with self._reading(run_id) as connection:
            return queries.playbook_versions(connection, run_id)

    def deltas(self, run_id: str) -> tuple[DeltaInfo, ...]:
        """The delta of each batch and edit, in order."""
        with self._reading(run_id) as connection:
            return queries.deltas(connection, run_id)

    def batches(self, run_id: str) -> tuple[BatchInfo, ...]:
        """The committed batches, in order."""
        with self._reading(run_id) as connection:
            return queries.batches(connection, run_id)

    def last_batch(self, run_id: str) -> BatchInfo | None:
        """The last committed batch, None before the first."""
        with self._reading(run_id) as connection:
            return next(iter(queries.batches(connection, run_id, last=True)), None)

    def evaluations(self, run_id: str) -> tuple[EvaluationInfo, ...]:
        """The committed evaluations, in order."""
        with self._reading(run_id) as connection:
            return queries.evaluations(connection, run_id)

    def outcomes(
        self, run_id: str, *, batch: int | None = None, evaluation: int | None = None
    ) -> tuple[OutcomeRecord, ...]:
        """Outcomes of one batch, of one evaluation, or (neither given) of all batches in order."""
        with self._reading(run_id) as connection:
            return queries.outcomes(connection, run_id, batch=batch, evaluation=evaluation)

    def calls(self, run_id: str, *, batch: int | None = None, evaluation: int | None = None) -> tuple[CallRecord, ...]:
        """With their texts; selected as `outcomes` selects."""
        with self._reading(run_id) as connection:
            return call_queries.calls(connection, run_id, batch=batch, evaluation=evaluation)

    def journal(self, run_id: str) -> tuple[JournalEntry, ...]:
        """Answered calls of batches and evaluations that are not committed: a resumed run does not repeat them."""
        with self._reading(run_id) as connection:
            return call_queries.journal(connection, run_id)

    def call(self, run_id: str, request: str) -> CallRecord:
        """The first call with the request of this digest. RunNotFoundError if the run has none."""
        with self._reading(run_id) as connection:
            record = call_queries.call(connection, run_id, request)
            if record is None:
                raise RunNotFoundError(f"run {run_id} has no call {request}", run=run_id)
            return record

    def calls_that_name(self, run_id: str, bullet: str, limit: int) -> tuple[CallRecord, ...]:
        """The generator's newest calls whose answers contain the bullet's id, newest first."""
        with self._reading(run_id) as connection:
            return call_queries.calls_that_name(connection, run_id, bullet, limit)

    def usage_by_place(self, run_id: str) -> tuple[PlaceUsage, ...]:
        """The usage of each committed batch and each evaluation."""
        with self._reading(run_id) as connection:
            return call_queries.usage_by_place(connection, run_id)

    def failures(self, run_id: str, limit: int) -> tuple[FailureRecord, ...]:
        """The first failed samples, then the first answers that could not be read: `limit` of each."""
        with self._reading(run_id) as connection:
            return queries.failures(connection, run_id, limit)

    def failure_causes(self, run_id: str) -> dict[str, int]:
        """Number of failed samples and unread answers by error, the most frequent first."""
        with self._reading(run_id) as connection:
            return queries.failure_causes(connection, run_id)

    def stops(self, run_id: str) -> dict[str, int]:
        """Number of samples of all batches by why reflection ended, the most frequent first."""
        with self._reading(run_id) as connection:
            return queries.stops(connection, run_id)

    def failed_samples(self, run_id: str) -> int:
        """Number of outcomes, of batches and evaluations, of samples that failed and were not retried."""
        with self._reading(run_id) as connection:
            return queries.failed_samples(connection, run_id)

    def errors(self, run_id: str) -> tuple[str, ...]:
        """Why samples failed or learned nothing, and why curators' insights were lost; one text for each time."""
        with self._reading(run_id) as connection:
            return queries.errors(connection, run_id)

    def usage_by_role(self, run_id: str) -> dict[RoleName, RoleUsage]:
        """Over all answered calls, committed or in the journal."""
        sums: dict[RoleName, RoleUsage] = {}
        for (role, _), used in self.usage_by_tier(run_id).items():
            sums[role] = sums[role] + used if role in sums else used
        return sums

    def usage_by_tier(self, run_id: str) -> dict[tuple[RoleName, str | None], RoleUsage]:
        """The same by role and by why the larger model was asked, None where the role's own was."""
        with self._reading(run_id) as connection:
            return call_queries.usage_by_tier(connection, run_id)

    def completion(self, cache_key: str) -> Completion | None:
        """Look up an answer in the completion cache, which all runs share."""
        with self._reading() as connection:
            return call_queries.completion(connection, cache_key)

    def prompt(self, request: str) -> tuple[Message, ...] | None:
        """The messages of the request with this digest; None where its prompt was not stored."""
        return self.prompts([request]).get(request)

    def prompts(self, requests: Sequence[str]) -> dict[str, tuple[Message, ...]]:
        """The messages of the requests with these digests, at most some hundreds, without those not stored."""
        with self._reading() as connection:
            return call_queries.find_prompts(connection, requests)

    def control(self, run_id: str) -> Control | None:
        """Read what somebody requested of the running run: to pause or to stop. None: to go on."""
        with self._reading(run_id) as connection:
            return people.read_control(connection, run_id)

    def current_version(self, run_id: str) -> int:
        """The playbook version that an edit changes: the best one of a run that is done, else the newest."""
        with self._reading(run_id) as connection:
            return people.current_version(connection, run_id)

    def credit(self, run_id: str, bullet: str | None = None) -> tuple[CreditRecord, ...]:
        """The measured credit of one bullet of the run's playbook, or of all, the newest measurement first."""
        with self._reading(run_id) as connection:
            return credit_queries.credit(connection, run_id, bullet)

    def pending_feedback(self, run_id: str, limit: int | None = None) -> tuple[tuple[Exchange, Feedback], ...]:
        """Feedback that no committed batch of the run has learned from, the oldest first.

        A batch has learned from it where one of its outcomes has the request's id as its sample.
        """
        with self._reading(run_id) as connection:
            return feedback_queries.pending(connection, run_id, limit)

    @contextmanager
    def _reading(self, run_id: str | None = None) -> Iterator[Connection]:
        """A consistent view of the database, in which the run `run_id` exists."""
        with self._database.turn, store_errors(self.name), self.engine.connect() as connection:
            if run_id is not None:
                self._require(connection, run_id)
            yield connection

    def _require(self, connection: Connection, run_id: str) -> None:
        if not queries.has_run(connection, run_id):
            raise run_ids.unknown_run(run_id, queries.run_ids(connection))
