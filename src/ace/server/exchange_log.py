"""The log of answers and feedback: a thread that commits what has come meanwhile in one transaction.

A request never waits for it. Feedback does: it is confirmed when its transaction is on disk, which also holds the
exchange that it is about.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from ace.errors import AceError, StoreError
from ace.server.chat_request import text_of
from ace.store import Exchange, Feedback, FeedbackStatus, RunStore
from ace.store.records import utcnow

GROUP = 500
PAUSE_S = 0.2
"""How long exchanges wait for others to share their transaction."""
MOST_WAITING = 20_000
"""Exchanges that wait for a store that cannot be written; those beyond are dropped, and counted."""
RETENTION = timedelta(days=30)
"""Exchanges without feedback are removed after this."""
_TRIM_S = 3600.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Report:
    """Feedback that waits for its transaction, with the exchange where the client sent that along."""

    feedback: Feedback
    exchange: Exchange | None
    done: Callable[[FeedbackStatus | AceError], object]


class ExchangeLog:
    """Commits exchanges and feedback in groups, in the order in which they came."""

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._queue: queue.SimpleQueue[Callable[[], Exchange | None] | _Report | None] = queue.SimpleQueue()
        self._unwritten: list[Exchange] = []
        self._trimmed = float("-inf")
        self._open: dict[str, asyncio.Event] = {}
        self.dropped = 0
        self._thread = threading.Thread(target=self._write, name="ace-exchange-log", daemon=True)
        self._thread.start()

    @contextlib.contextmanager
    def answering(self, request_id: str) -> Iterator[None]:
        """Mark a request as being answered: feedback on it waits for the end."""
        self._open[request_id] = event = asyncio.Event()
        try:
            yield
        finally:
            del self._open[request_id]
            event.set()

    def add(self, exchange: Callable[[], Exchange | None]) -> None:
        """Log what `exchange` returns; it is called on the log's thread, and None is not logged."""
        self._queue.put(exchange)

    async def report(self, feedback: Feedback, exchange: Exchange | None = None) -> FeedbackStatus:
        """Store feedback, and return once it is on disk. StoreError where it could not be written."""
        if (answering := self._open.get(feedback.request_id)) is not None:
            await answering.wait()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[FeedbackStatus] = loop.create_future()

        def settle(result: FeedbackStatus | AceError) -> None:
            if future.done():
                return
            if isinstance(result, AceError):
                future.set_exception(result)
            else:
                future.set_result(result)

        self._queue.put(_Report(feedback, exchange, lambda result: loop.call_soon_threadsafe(settle, result)))
        return await future

    def close(self) -> None:
        """Commit what waits, and end the thread."""
        self._queue.put(None)
        self._thread.join()

    def _write(self) -> None:
        ended = False
        while not ended:
            exchanges, reports, ended = self._next_group()
            self._commit(exchanges, reports)
            if not ended:
                self._trim()

    def _next_group(self) -> tuple[list[Exchange], list[_Report], bool]:
        """Wait for the next group. Exchanges alone wait a moment for more; feedback does not wait."""
        exchanges: list[Exchange] = []
        reports: list[_Report] = []
        deadline: float | None = None
        while len(exchanges) + len(reports) < GROUP:
            wait = None if deadline is None else 0.0 if reports else max(0.0, deadline - time.monotonic())
            try:
                item = self._queue.get(block=wait != 0.0, timeout=wait)
            except queue.Empty:
                break
            if item is None:
                return exchanges, reports, True
            if isinstance(item, _Report):
                reports.append(item)
            elif (exchange := item()) is not None:
                exchanges.append(exchange)
            deadline = deadline or time.monotonic() + PAUSE_S
        return exchanges, reports, False

    def _commit(self, exchanges: list[Exchange], reports: list[_Report]) -> None:
        sent_along = [report.exchange for report in reports if report.exchange is not None]
        waiting = [*self._unwritten, *exchanges]
        if not waiting and not reports:
            return
        try:
            statuses = self._store.record_feedback([*waiting, *sent_along], [report.feedback for report in reports])
        except StoreError as error:
            self._unwritten = waiting[-MOST_WAITING:]
            self.dropped += len(waiting) - len(self._unwritten)
            _log.error("exchanges and feedback cannot be stored: %s", error)
            for report in reports:
                report.done(error)
            return
        self._unwritten = []
        for report, status in zip(reports, statuses, strict=True):
            report.done(status)

    def _trim(self) -> None:
        if time.monotonic() - self._trimmed > _TRIM_S:
            self._trimmed = time.monotonic()
            with contextlib.suppress(StoreError):
                self._store.trim_exchanges(utcnow() - RETENTION)


def answer_text(body: bytes, *, streamed: bool) -> str:
    """The text of the first choice in the body of an answer; "" where there is none."""
    try:
        if not streamed:
            return text_of(json.loads(body)["choices"][0]["message"])
        return _streamed_text(body)
    except (ValueError, LookupError, TypeError):
        return ""


def _streamed_text(body: bytes) -> str:
    """The content of the first choice's deltas; tool calls as JSON, their arguments joined."""
    texts: list[str] = []
    calls: dict[int, dict[str, str]] = {}
    for line in body.splitlines():
        data = line.removeprefix(b"data:").strip()
        if not line.startswith(b"data:") or data == b"[DONE]":
            continue
        for choice in json.loads(data).get("choices", ()):
            if choice.get("index", 0) != 0:
                continue
            delta = choice.get("delta") or {}
            texts.append(delta.get("content") or "")
            for call in delta.get("tool_calls") or ():
                whole = calls.setdefault(call.get("index", 0), {"name": "", "arguments": ""})
                for key in whole:
                    whole[key] += (call.get("function") or {}).get(key) or ""
    text = "".join(texts)
    return "\n".join(filter(None, (text, json.dumps(list(calls.values()), ensure_ascii=False) if calls else "")))
