"""The one thread of this process that touches vLLM engines.

Two engines used from two threads at once crash each other, so all of them live on this thread: it takes commands from
a queue, and steps every engine that has unfinished requests in turn. Requests join the running batch at any time.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import lru_cache
from typing import Any, TypeVar

from ace.errors import AceError, EngineDeadError, RequestRejectedError

T = TypeVar("T")
Waiting = tuple[asyncio.AbstractEventLoop, "asyncio.Future[Any]"]


class EngineHandle:
    """One engine on the stepper's thread, and who waits for its answers. `dead` says why it cannot go on."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.waiting: dict[str, Waiting] = {}
        self.dead: str | None = None

    def add(self, key: str, prompt: Any, params: Any, waiting: Waiting) -> None:
        """Hand a request to the engine; whatever it says against it is the waiting caller's error."""
        if self.dead is not None:
            _fail(waiting, EngineDeadError(f"the vLLM engine has died: {self.dead}"))
            return
        try:
            self.engine.add_request(key, prompt, params)
        except Exception as error:  # noqa: BLE001 - vLLM's validation errors share no base class
            _fail(waiting, RequestRejectedError(f"vLLM refuses the request: {error}"))
            return
        self.waiting[key] = waiting

    def abort(self, key: str) -> None:
        """Give up a request, if it is still under way."""
        if key in self.waiting and self.dead is None:
            del self.waiting[key]
            self.engine.abort_request([key])

    def step(self) -> None:
        """One step of the engine. If it raises, the engine is dead, and everyone who waits hears so."""
        try:
            outputs = self.engine.step()
        except Exception as error:  # noqa: BLE001 - whatever ends a step ends the engine
            self.dead = f"{type(error).__name__}: {error}"
            for waiting in self.waiting.values():
                _fail(waiting, EngineDeadError(f"the vLLM engine has died: {self.dead}"))
            self.waiting.clear()
            return
        for output in outputs:
            if output.finished and (waiting := self.waiting.pop(output.request_id, None)):
                loop, future = waiting
                _call(loop, _resolve, future, output)

    @property
    def busy(self) -> bool:
        return self.dead is None and bool(self.waiting)


class Stepper:
    """The thread and its queue."""

    def __init__(self) -> None:
        self._commands: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self.handles: list[EngineHandle] = []
        self._thread = threading.Thread(target=self._run, name="ace-vllm-stepper", daemon=True)
        self._thread.start()

    def submit(self, command: Callable[[], T]) -> Future[T]:
        """Run `command` on the thread between two steps."""
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(command())
            except BaseException as error:  # noqa: BLE001 - handed to whoever waits for the future
                future.set_exception(error)

        self._commands.put(run)
        return future

    def _run(self) -> None:
        while True:
            busy = [handle for handle in self.handles if handle.busy]
            self._drain(wait=not busy)
            for handle in busy:
                if handle in self.handles:
                    handle.step()

    def _drain(self, *, wait: bool) -> None:
        if wait:
            self._commands.get()()
        while True:
            try:
                command = self._commands.get_nowait()
            except queue.Empty:
                return
            command()


@lru_cache(maxsize=1)
def stepper() -> Stepper:
    """This process's stepper, started when it is first needed."""
    return Stepper()


def _fail(waiting: Waiting, error: AceError) -> None:
    loop, future = waiting
    _call(loop, _reject, future, error)


def _call(loop: asyncio.AbstractEventLoop, function: Callable[..., None], *values: Any) -> None:
    """Call on the loop's thread; a loop that is closed has nobody left who waits."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(function, *values)


def _resolve(future: asyncio.Future[Any], output: Any) -> None:
    if not future.done():
        future.set_result(output)


def _reject(future: asyncio.Future[Any], error: AceError) -> None:
    if not future.done():
        future.set_exception(error)
