"""The calls of a run: each is asked once, kept as soon as it is answered, and counted against the budget."""

from __future__ import annotations

import asyncio

from ace.engine.calls.completion_cache import CompletionCache
from ace.engine.calls.escalation import Escalation
from ace.engine.calls.spending import Spending
from ace.errors import BudgetReachedError, PromptTooLongError
from ace.inference import Backend, ModelBinding
from ace.store import JournalEntry, RunStore
from ace.types import Completion, Request


class CallGateway:
    """Stands between the roles and their backends.

    An answer reaches its role after it is in the store's journal: a process that dies has lost the calls in flight and
    no other. What the journal of an earlier process holds is answered from there, what the completion cache holds, too.

    A database takes one writer at a time, and the journal is written on the loop. So that the loop does not stand still
    in the database's queue while a batch is committed in a thread, answers that come meanwhile wait for the end of that
    commit (`hold`), and then share a transaction. The journal therefore never has calls of a batch that began after
    the commit did, unless the commit is on disk or has failed.
    """

    def __init__(
        self,
        run: str,
        store: RunStore,
        spending: Spending,
        cache: CompletionCache,
    ) -> None:
        self._run, self._store = run, store
        self._spending, self._cache = spending, cache
        self._journaled = {entry.digest: entry.completion for entry in store.journal(run)}
        self._in_flight: set[asyncio.Task[Completion]] = set()
        self._unwritten: list[JournalEntry] = []
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
        """Answer `request` from the journal, from the completion cache, or by the bound model.

        Raises what the backend raises, BudgetReachedError, and PromptTooLongError for a prompt of more than
        `prompt_limit` tokens. Cancelling a call gives it up, unless the budget has ended the run: its answer is then
        paid for, and stored.
        """
        if prompt_limit is not None:
            _check_length(request, binding.backend, prompt_limit)
        digest = request.digest
        answered = self._journaled.pop(digest, None)
        if answered is not None:
            return answered
        key = self._cache.key(binding, request)
        cached = key and self._cache.find(key)
        if cached:
            return cached
        self._start()
        task = asyncio.create_task(self._call(request, binding, escalation, digest, key))
        self._in_flight.add(task)
        task.add_done_callback(self._in_flight.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not self._ending:
                task.cancel()
            raise

    def hold(self, commit: asyncio.Future[None]) -> None:
        """Write the journal no more until `commit` is done, however it ends."""
        self._commit = commit

    async def drain(self) -> None:
        """Wait for the calls that a reached budget left under way. What they raise is of no interest any more."""
        await asyncio.gather(*self._in_flight, return_exceptions=True)

    def _start(self) -> None:
        try:
            self._spending.start()
        except BudgetReachedError:
            self._ending = True
            raise

    async def _call(
        self,
        request: Request,
        binding: ModelBinding,
        escalation: Escalation | None,
        digest: str,
        cache_key: str | None,
    ) -> Completion:
        completion = await binding.backend.complete(request)
        self._spending.add(completion.usage, binding.price)
        await self._journal(JournalEntry(binding.role, digest, completion, cache_key, escalation))
        return completion

    async def _journal(self, entry: JournalEntry) -> None:
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
            self._store.commit_journal(self._run, entries)
        except Exception as error:  # those who wait for it raise it
            written.set_exception(error)
        else:
            written.set_result(None)


def _check_length(request: Request, backend: Backend, limit: int) -> None:
    tokens = sum(backend.count_tokens(message.content) for message in request.messages)
    if tokens > limit:
        raise PromptTooLongError(
            f"the prompt has {tokens} tokens, more than the {limit} after which {backend.info.model} is not asked",
            prompt_tokens=tokens,
            max_model_len=limit,
        )
