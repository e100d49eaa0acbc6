"""The one thread that steps every vLLM engine of this process.

Two engines stepped from two threads crash (vLLM keeps the forward pass's context in a global), so engines are started,
stepped and shut down here, each in its turn. Other threads hand over work with `call` and never touch an engine.
"""

from __future__ import annotations

import atexit
import ctypes
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import ClassVar, Protocol, TypeVar

from ace._util.futures import settle

T = TypeVar("T")

_IDLE_STEP_S = 0.0003
_PAUSE_S = 0.0005
_EXIT_S = 10.0


class Steppable(Protocol):
    """An engine on the stepping thread."""

    @property
    def busy(self) -> bool: ...

    def step(self) -> None:
        """One step. Must not raise."""

    def shut_down(self, *, last: bool) -> None:
        """Free everything; `last` says that no other engine is left. Must not raise."""


class Abandoned(BaseException):
    """Thrown into the stepping thread where its caller was interrupted while an engine started."""


class SteppingThread:
    """Runs while somebody holds a lease on it."""

    _guard: ClassVar[threading.Lock] = threading.Lock()
    _shared: ClassVar[SteppingThread | None] = None

    def __init__(self) -> None:
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._engines: list[Steppable] = []
        self._leases = 0
        self._stopping = False
        # A daemon, so that leaving the process never waits for a lease; `_exit` ends it in order before that.
        self._thread = threading.Thread(target=self._run, name="ace-vllm-stepping", daemon=True)

    @classmethod
    def lease(cls) -> SteppingThread:
        """The process's stepping thread, started where it does not run. Each lease needs one `release`."""
        with cls._guard:
            if cls._shared is None:
                cls._shared = cls()
                cls._shared._thread.start()
                atexit.register(cls._shared._exit)
            cls._shared._leases += 1
            return cls._shared

    def release(self) -> None:
        """Give the lease back; with the last one the thread ends."""
        with self._guard:
            self._leases -= 1
            if self._leases:
                return
            type(self)._shared = None
        atexit.unregister(self._exit)
        self._exit()

    def call(self, work: Callable[[], T]) -> Future[T]:
        """Run `work` on the thread, between two steps."""
        future: Future[T] = Future()
        self._inbox.put(lambda: _resolve_future(future, work))
        return future

    def post(self, work: Callable[[], None]) -> None:
        """Run `work` on the thread, between two steps, with nobody waiting. It must not raise."""
        self._inbox.put(work)

    def wait_for(self, future: Future[T]) -> T:
        """The result of a call. Ctrl-C while waiting breaks the call off on its thread, too."""
        try:
            return future.result()
        except KeyboardInterrupt:
            self._abandon(future)
            raise

    def adopt(self, engine: Steppable) -> None:
        """Step `engine` from now on. On the thread."""
        self._engines.append(engine)

    def drop(self, engine: Steppable) -> None:
        """Never step `engine` again, and shut it down. On the thread."""
        if engine in self._engines:
            self._engines.remove(engine)
            engine.shut_down(last=not self._engines)

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._turn()
            except Abandoned:
                continue
        for engine in tuple(self._engines):
            self.drop(engine)

    def _turn(self) -> None:
        self._work_off(block=not any(engine.busy for engine in self._engines))
        began = time.perf_counter()
        for engine in self._engines:
            if engine.busy:
                engine.step()
        if time.perf_counter() - began < _IDLE_STEP_S and not self._stopping:
            # Nothing could be scheduled: a grammar is being compiled on another thread, which needs the lock we hold.
            time.sleep(_PAUSE_S)

    def _work_off(self, *, block: bool) -> None:
        while True:
            try:
                work = self._inbox.get(block=block)
            except queue.Empty:
                return
            block = False
            work()

    def _abandon(self, future: Future[T]) -> None:
        ident = self._thread.ident
        if future.cancel() or future.done() or ident is None:
            return
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(Abandoned))
        try:
            future.exception(timeout=_EXIT_S)
        except TimeoutError:
            return

    def _exit(self) -> None:
        def stop() -> None:
            self._stopping = True

        self._inbox.put(stop)
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=_EXIT_S)


def _resolve_future(future: Future[T], work: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        outcome: T | BaseException = work()
    except BaseException as error:  # Abandoned, too
        outcome = error
    settle(future, outcome)
