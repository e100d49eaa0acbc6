"""The calls of a run: each is asked once, kept as soon as it is answered, and counted against the budget."""

from __future__ import annotations

import asyncio

from ace.engine.calls.completion_cache import CompletionCache
from ace.engine.calls.escalation import Escalation
from ace.engine.calls.spending import Spending
from ace.engine.events import BackendAdjusted, CallFailed, Listener, null_listener
from ace.errors import BudgetReachedError, PromptTooLongError, RequestRejectedError, TransientError
from ace.inference import Tiers
from ace.roles import Complete
from ace.store import JournalEntry, RunStore
from ace.types import Completion, Request, RoleName

SAMPLE_ERRORS = (PromptTooLongError, RequestRejectedError, TransientError)
"""What can go wrong with one sample while the engine is well: recorded for that sample, and the run goes on."""


class CallGateway:
    """Stands between the roles and their backends.

    An answer reaches its role after it is in the store's journal: a process that dies has lost the calls in flight and
    no other. What the journal of an earlier process holds is answered from there, what the completion cache holds, too.

    A database takes one writer at a time, and the journal is written on the loop. So that the loop does not stand still
    in the database's queue while a batch is committed in a thread, answers that come meanwhile wait for the end of that
    commit (`hold`), and then share a transaction. The journal therefore never has calls of a batch that began after
    the commit did, unless the commit is on disk or has failed.

    The completion cache gets an answer once its role could read it (`accept`), with the journal's next transaction.
    """

    def __init__(
        self,
        run: str,
        store: RunStore,
        tiers: Tiers,
        spending: Spending,
        cache: CompletionCache,
        listener: Listener = null_listener,
    ) -> None:
        self._run, self._store, self._tiers = run, store, tiers
        self._spending, self._cache, self._listener = spending, cache, listener
        self._known = {entry.digest: entry.completion for entry in store.journal(run)}
        self._under_way: set[asyncio.Task[Completion]] = set()
        self._unwritten: list[JournalEntry] = []
        self._cacheable: dict[str, tuple[str, Completion]] = {}
        self._accepted: dict[str, Completion] = {}
        self._notes: list[str] = []
        self._written: asyncio.Future[None] | None = None
        self._commit: asyncio.Future[None] | None = None
        self._ending = False

    def of(self, role: RoleName, escalated: Escalation | None = None) -> Complete:
        """The function through which `role` asks its model, or the larger one where it is `escalated` for a reason.

        It raises what the backend raises, and BudgetReachedError.

        Cancelling a call gives it up, unless the budget has ended the run: what is under way then is paid for, and
        kept.
        """

        async def complete(request: Request) -> Completion:
            digest = request.digest
            key = self._cache.key(role, request, escalated=escalated is not None)
            known = self._known.pop(digest, None)
            if known is not None:
                return self._until_accepted(digest, key, known)
            cached = key and self._cache.find(key)
            if cached:
                return cached
            self._start(role)
            task = asyncio.create_task(self._ask(role, escalated, request, digest))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
            try:
                return self._until_accepted(digest, key, await asyncio.shield(task))
            except SAMPLE_ERRORS as error:
                self._listener(CallFailed(role, f"{type(error).__name__}: {error}"))
                raise
            except asyncio.CancelledError:
                if not self._ending:
                    task.cancel()
                raise

        return complete

    def accept(self, digest: str) -> None:
        """Keep the answer to the request of this digest in the completion cache: its role could read it."""
        key, completion = self._cacheable.pop(digest, (None, None))
        if key is not None and completion is not None and completion.finish_reason != "error":
            self._accepted[key] = completion

    def reject(self, digest: str) -> None:
        """Do not: it is to be asked again by whoever asks the same."""
        self._cacheable.pop(digest, None)

    def flush(self) -> None:
        """Write what was accepted, and what backends changed, since the journal was written last."""
        if self._accepted or self._notes:
            self._commit_journal([])

    def hold(self, commit: asyncio.Future[None]) -> None:
        """Write the journal no more until `commit` is done, however it ends."""
        self._commit = commit

    async def drain(self) -> None:
        """Wait for the calls that a reached budget left under way. What they raise is of no interest any more."""
        await asyncio.gather(*self._under_way, return_exceptions=True)

    def _start(self, role: RoleName) -> None:
        try:
            self._spending.start(role)
        except BudgetReachedError:
            self._ending = True
            raise

    def _until_accepted(self, digest: str, key: str | None, completion: Completion) -> Completion:
        if key is not None:
            self._cacheable[digest] = (key, completion)
        return completion

    async def _ask(self, role: RoleName, escalated: Escalation | None, request: Request, digest: str) -> Completion:
        larger = escalated is not None
        completion = await self._tiers.get(role, escalated=larger).complete(request)
        self._spending.add(role, completion.usage, escalated=larger)
        for note in completion.notes:
            self._notes.append(note)
            self._listener(BackendAdjusted(note))
        await self._keep(JournalEntry(role, digest, completion, escalated))
        return completion

    async def _keep(self, entry: JournalEntry) -> None:
        """In the store when this returns; answers of one turn of the loop share a transaction."""
        self._unwritten.append(entry)
        if self._written is None:
            loop = asyncio.get_running_loop()
            self._written = loop.create_future()
            if self._commit is None or self._commit.done():
                loop.call_soon(self._write)
            else:
                self._commit.add_done_callback(lambda _: self._write())
        await asyncio.shield(self._written)

    def _write(self) -> None:
        entries, self._unwritten = self._unwritten, []
        written, self._written = self._written, None
        assert written is not None
        try:
            self._commit_journal(entries)
        except Exception as error:  # those who wait for it raise it
            written.set_exception(error)
        else:
            written.set_result(None)

    def _commit_journal(self, entries: list[JournalEntry]) -> None:
        accepted, self._accepted = self._accepted, {}
        notes, self._notes = self._notes, []
        self._store.commit_journal(self._run, entries, completions=accepted, notes=notes)
