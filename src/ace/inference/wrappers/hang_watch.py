"""A time-out for an engine, not for a request: how long it may be silent while requests are under way."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class HangWatch:
    """Ends all waiting at once when nothing was answered for `limit_s`, which one timer a quarter of that checks."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._waiting: set[asyncio.Timeout] = set()
        self._answered = 0.0

    @contextmanager
    def over(self) -> Iterator[asyncio.Timeout]:
        """A timeout for one request. Leaving it in any way counts as a sign of life."""
        loop = asyncio.get_running_loop()
        timeout = asyncio.timeout(None)
        if not self._waiting:
            self._answered = loop.time()
            loop.call_later(self._limit_s / 4, self._check, loop)
        self._waiting.add(timeout)
        try:
            yield timeout
        finally:
            self._waiting.discard(timeout)
            self._answered = loop.time()

    def _check(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._waiting:
            return
        if loop.time() - self._answered < self._limit_s:
            loop.call_later(self._limit_s / 4, self._check, loop)
            return
        self.end()

    def end(self) -> None:
        """End all waiting now."""
        for timeout in self._waiting:
            timeout.reschedule(asyncio.get_running_loop().time())
