"""Supervision of an engine: a dead or hung one is replaced, and its requests are repeated.

A request that was in flight when the engine died is a suspect. Suspects are repeated one at a time, with no other
request in flight: the one that kills the engine a second time is refused for good, and the others are answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ace.errors import AceError, EngineDeadError, RequestQuarantinedError
from ace.inference.backend import Backend, BackendInfo, EngineMeter
from ace.inference.wrappers.hang_watch import HangWatch
from ace.types import Completion, Request

CLOSE_S = 30.0
"""Time limit for a dead engine to free its memory. One that does not cannot be replaced in this process."""


StartEngine = Callable[[], Backend]
"""Starts an engine and returns when it is ready."""


class SupervisedBackend:
    """Starts an engine, and another one after it died: at most `max_restarts` times, each after twice the last pause.

    An engine is hung when requests are in flight and none was answered for `hang_s` seconds.
    """

    def __init__(self, start: StartEngine, *, max_restarts: int, hang_s: float, backoff_s: float = 0.5) -> None:
        self._start, self._max_restarts, self._hang_s, self._backoff_s = start, max_restarts, hang_s, backoff_s
        self._live = start()
        self._watch = HangWatch(hang_s)
        self._restarts = 0
        self._closed = False
        self._replacing: asyncio.Lock | None = None
        self._suspects = _Suspects()
        self._earlier = EngineMeter()

    @property
    def info(self) -> BackendInfo:
        return self._live.info

    @property
    def live(self) -> Backend:
        """The engine that answers now."""
        return self._live

    @property
    def hang_s(self) -> float:
        """Seconds without an answer after which the engine counts as hung."""
        return self._hang_s

    @property
    def restarts(self) -> int:
        """Number of times the engine was replaced."""
        return self._restarts

    async def complete(self, request: Request) -> Completion:
        """Answer on the engine, or on the one that replaces it.

        RequestQuarantinedError for a request that killed it twice; EngineDeadError when it cannot be replaced, or not
        once more.
        """
        await self._suspects.wait_until_cleared()
        live = self._live
        try:
            return await self._ask(live, request)
        except EngineDeadError as death:
            with self._suspects.added():
                await self._replace(live, death)
                return await self._ask_alone(request)

    def count_tokens(self, text: str) -> int:
        return self._live.count_tokens(text)

    def meter(self) -> EngineMeter | None:
        """Add up all engines that were started here."""
        return EngineMeter.total((self._earlier, self._live.meter()))

    async def close(self) -> None:
        self._closed = True
        await self._live.close()

    async def _ask(self, live: Backend, request: Request) -> Completion:
        with self._watch.request() as timeout:
            try:
                async with timeout:
                    return await live.complete(request)
            except TimeoutError:
                raise EngineDeadError(
                    f"the engine of {live.info.model} hangs: nothing was answered for {self._hang_s:.0f} s",
                    hint="raise models.*.timeout_s if a single answer may take that long",
                    model=live.info.model,
                ) from None

    async def _ask_alone(self, request: Request) -> Completion:
        async with self._suspects.one_at_a_time():
            live = self._live
            try:
                return await self._ask(live, request)
            except EngineDeadError as death:
                await self._replace(live, death)
                raise RequestQuarantinedError(
                    f"the engine died twice with this request under way, the second time with nothing beside it: "
                    f"{death.message}",
                    digest=request.digest,
                ) from death

    async def _replace(self, dead: Backend, death: EngineDeadError) -> None:
        """Start another engine in the place of `dead`. Raises `death` where none may be started."""
        if self._replacing is None:
            self._replacing = asyncio.Lock()
        async with self._replacing:
            if self._live is not dead:
                return
            if self._closed or self._restarts >= self._max_restarts:
                raise death
            self._restarts += 1
            self._earlier += dead.meter() or EngineMeter()
            await _close(dead, death)
            await asyncio.sleep(self._backoff_s * 2 ** (self._restarts - 1))
            try:
                self._live = await asyncio.to_thread(self._start)
            except AceError as error:
                raise EngineDeadError(f"{death.message}; it could not be started again: {error.message}") from error


async def _close(dead: Backend, death: EngineDeadError) -> None:
    """Close a dead engine. Raises `death` where it does not end within `CLOSE_S`."""
    try:
        async with asyncio.timeout(CLOSE_S):
            await dead.close()
    except TimeoutError:
        raise death from None


class _Suspects:
    """Requests that were in flight when the engine died. They are repeated one at a time; all others wait for them."""

    def __init__(self) -> None:
        self._number = 0
        self._cleared: asyncio.Event | None = None
        self._lock: asyncio.Lock | None = None

    async def wait_until_cleared(self) -> None:
        """Wait until there is no suspect."""
        while self._number and self._cleared is not None:
            await self._cleared.wait()

    @contextmanager
    def added(self) -> Iterator[None]:
        """Count one more suspect inside the `with` block."""
        if not self._number:
            self._cleared = asyncio.Event()
        self._number += 1
        try:
            yield
        finally:
            self._number -= 1
            if not self._number and self._cleared is not None:
                self._cleared.set()

    def one_at_a_time(self) -> asyncio.Lock:
        """Return the lock that a suspect holds while it is repeated."""
        if self._lock is None:
            self._lock = asyncio.Lock()
        return self._lock
