"""The gateway of a run's model calls: journal, completion cache and budget before the backends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial

from ace._util.futures import settle
from ace.engine.calls.completion_cache import CompletionCache
from ace.engine.calls.escalation import Escalation
from ace.engine.calls.spending import Spending
from ace.engine.events import BackendAdjusted, CallClosed, CallFailed, CallOpened, Listener, null_listener
from ace.errors import BudgetReachedError, PromptTooLongError, RequestRejectedError, TransientError
from ace.inference import Backend, ModelBinding
from ace.store import JournalEntry, RunStore
from ace.types import Completion, Message, Request, RoleName

SAMPLE_ERRORS = (PromptTooLongError, RequestRejectedError, TransientError)
"""Errors of one sample while the engine is well. They are recorded with the sample, and the run goes on."""


async def _at_once() -> None:
    """Admit a call."""


class CallGateway:
    """Answers requests from the journal of an earlier process, from the completion cache, or by the bound model.

    An answer reaches its role after it is in the store's journal: a process that dies loses the calls in flight and no
    others.

    The journal is written on the event loop, and a database takes one writer at a time. Answers that arrive while a
    batch is committed in a thread wait for the end of that commit (`hold`) and then share a transaction, so that the
    loop does not wait in the database's queue. The journal therefore never has calls of a batch that started after the
    commit did, unless the commit is on disk or has failed.

    The prompt of every call is stored with the journal's next transaction. A call that reaches a model waits for
    `admit` first.

    The completion cache gets an answer once its role has parsed it (`accept`), with the journal's next transaction.
    """

    def __init__(
        self,
        run: str,
        store: RunStore,
        spending: Spending,
        cache: CompletionCache,
        listener: Listener = null_listener,
        admit: Callable[[], Awaitable[None]] = _at_once,
    ) -> None:
        self._admit = admit
        self._prompts: dict[str, tuple[Message, ...]] = {}
        self._run, self._store = run, store
        self._spending, self._cache, self._listener = spending, cache, listener
        self._journaled = {entry.digest: entry.completion for entry in store.journal(run)}
        self._in_flight: set[asyncio.Task[Completion]] = set()
        self._unwritten: list[JournalEntry] = []
        self._unparsed: dict[str, tuple[str, Completion]] = {}
        self._accepted: dict[str, Completion] = {}
        self._notes: list[str] = []
        self._written: asyncio.Future[None] | None = None
        self._commit: asyncio.Future[None] | None = None
        self._ending = False

    async def complete(
        self,
        request: Request,
        binding: ModelBinding,
        escalation: Escalation | None = None,
        *,
        prompt_limit: int | None = None,
    ) -> Completion:
        """Answer `request`.

        Raises what the backend raises, BudgetReachedError, and PromptTooLongError for a prompt of more than
        `prompt_limit` tokens. Cancelling a call gives it up, unless the budget has ended the run: its answer is then
        paid for, and stored.
        """
        if prompt_limit is not None:
            _check_length(request, binding.backend, prompt_limit)
        digest = request.digest
        key = self._cache.key(binding, request)
        completion = self._journaled.pop(digest, None)
        if completion is None:
            self._prompts[digest] = request.messages
            cached = key and self._cache.find(key)
            if cached:
                return cached
            await self._admit()
            self._start()
            started = time.perf_counter()
            call = asyncio.create_task(self._complete_and_journal(request, binding, escalation))
            self._in_flight.add(call)
            self._listener(CallOpened(binding.role))
            call.add_done_callback(partial(self._close, binding.role))
            try:
                completion = await asyncio.shield(call)
            except SAMPLE_ERRORS as error:
                elapsed = time.perf_counter() - started
                cause = f"{type(error).__name__}: {error}"
                self._listener(CallFailed(binding.role, cause, binding.backend.info.name, elapsed))
                raise
            except asyncio.CancelledError:
                if not self._ending:
                    call.cancel()
                raise
        if key is not None:
            self._unparsed[digest] = (key, completion)
        return completion

    def accept(self, digest: str) -> None:
        """Cache the answer to the request with this digest: its role parsed it."""
        key, completion = self._unparsed.pop(digest, (None, None))
        if key is not None and completion is not None and completion.finish_reason != "error":
            self._accepted[key] = completion

    def reject(self, digest: str) -> None:
        """Do not cache the answer to the request with this digest: the next run sends the request again."""
        self._unparsed.pop(digest, None)

    def flush(self) -> None:
        """Write accepted answers, prompts and backends' notes that came after the journal's last transaction."""
        if self._accepted or self._prompts or self._notes:
            self._commit_journal([])

    def hold(self, commit: asyncio.Future[None]) -> None:
        """Hold the journal back until `commit` is done or has failed."""
        self._commit = commit

    async def drain(self) -> None:
        """Wait for the calls in flight after the budget was reached, and ignore their errors."""
        await asyncio.gather(*self._in_flight, return_exceptions=True)

    def _close(self, role: RoleName, call: asyncio.Task[Completion]) -> None:
        self._in_flight.discard(call)
        self._listener(CallClosed(role))

    def _start(self) -> None:
        try:
            self._spending.start()
        except BudgetReachedError:
            self._ending = True
            raise

    async def _complete_and_journal(
        self, request: Request, binding: ModelBinding, escalation: Escalation | None
    ) -> Completion:
        completion = await binding.backend.complete(request)
        self._spending.add(completion.usage, binding.price)
        for note in completion.notes:
            self._notes.append(note)
            self._listener(BackendAdjusted(note))
        await self._journal(JournalEntry(binding.role, request.digest, completion, escalation))
        return completion

    async def _journal(self, entry: JournalEntry) -> None:
        """Write `entry` to the store. Entries of one iteration of the event loop share a transaction."""
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
        outcome: Exception | None = None
        try:
            self._commit_journal(entries)
        except Exception as error:  # raised by every call that waits for this transaction
            outcome = error
        settle(written, outcome)

    def _commit_journal(self, entries: list[JournalEntry]) -> None:
        accepted, self._accepted = self._accepted, {}
        prompts, self._prompts = self._prompts, {}
        notes, self._notes = self._notes, []
        self._store.commit_journal(self._run, entries, completions=accepted, prompts=prompts, notes=notes)


def _check_length(request: Request, backend: Backend, limit: int) -> None:
    tokens = sum(backend.count_tokens(message.content) for message in request.messages)
    if tokens > limit:
        raise PromptTooLongError(
            f"the prompt has {tokens} tokens, more than the {limit} after which {backend.info.model} is not asked",
            prompt_tokens=tokens,
            max_model_len=limit,
        )
