"""A time limit for an engine, not for a request: how long it may answer nothing while requests are in flight."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class HangWatch:
    """Times out all requests in flight when none was answered for `limit_s` seconds.

    One timer for all of them checks that four times in `limit_s`.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._waiting: set[asyncio.Timeout] = set()
        self._answered = 0.0

    @contextmanager
    def request(self) -> Iterator[asyncio.Timeout]:
        """Watch one request. Its end, also by an error, shows that the engine is alive."""
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
        self.expire()

    def expire(self) -> None:
        """Time out all requests in flight now."""
        for timeout in self._waiting:
            timeout.reschedule(asyncio.get_running_loop().time())
