"""Control of a run from outside: requests are written to its store, which the process that runs it polls."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from ace.engine.events import Listener, RunContinued, RunPaused, RunStopping, null_listener
from ace.errors import StoreError
from ace.store import RunStore

POLL_S = 1.0


class RunControl:
    """Carries out requests to pause, to continue and to stop.

    A paused run makes no new model call; calls in flight are answered and stored. Stopping cancels the run's task, as
    Ctrl-C does: what was committed or answered stays, and the run can be resumed.
    """

    def __init__(
        self, store: RunStore, run: str, listener: Listener = null_listener, *, poll_s: float = POLL_S
    ) -> None:
        self._store, self._run, self._listener, self._poll_s = store, run, listener, poll_s
        self._unpaused = asyncio.Event()
        self._unpaused.set()
        self.stopped = False
        """True once a request to stop was carried out."""

    async def admit(self) -> None:
        """Wait while the run is paused."""
        await self._unpaused.wait()

    @contextlib.asynccontextmanager
    async def watch(self) -> AsyncIterator[None]:
        """Poll the store while the body runs, and cancel the current task on a request to stop."""
        task = asyncio.current_task()
        assert task is not None
        polling = asyncio.create_task(self._poll(task))
        try:
            yield
        finally:
            polling.cancel()
            await asyncio.wait([polling])
            if self.stopped:
                task.uncancel()  # the cancellation ends here, as InterruptedRunError

    async def _poll(self, task: asyncio.Task[object]) -> None:
        while not self.stopped:
            with contextlib.suppress(StoreError):  # polled again; a store that stays broken fails a commit
                await self._carry_out_request(task)
            await asyncio.sleep(self._poll_s)

    async def _carry_out_request(self, task: asyncio.Task[object]) -> None:
        control = await asyncio.to_thread(self._store.control, self._run)
        if control == "stop":
            self.stopped = True
            self._listener(RunStopping(self._run))
            task.cancel()
        elif (control == "pause") == self._unpaused.is_set():
            await asyncio.to_thread(self._store.set_paused, self._run, control == "pause")
            if control == "pause":
                self._unpaused.clear()
                self._listener(RunPaused(self._run))
            else:
                self._unpaused.set()
                self._listener(RunContinued(self._run))
