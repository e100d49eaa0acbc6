"""One replica of the pool, as this process knows it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import ray
from ray.exceptions import ActorUnavailableError, RayError

from ace.errors import AceError, EngineDeadError, ProviderStartError
from ace.inference.backend import EngineMeter
from ace.inference.provider_choice import installed
from ace.inference.providers.ray.engine_actor import Answered, Client, ReplicaUp
from ace.inference.providers.ray.prefix_router import ReplicaLoad
from ace.inference.wrappers.hang_watch import HangWatch
from ace.types import Completion, Request

RETRY_S = 0.5
"""How long after a restart that is not over yet it is asked for again."""

LEAVE_S = 5.0
"""How long a shared actor may take to let this run go. It lets go of a silent one by itself."""


class Replica:
    """An actor. Ray starts it again where its process or its node is lost, at most `max_restarts` times.

    A `shared` one has other clients, too, and goes on without this one.
    """

    def __init__(self, actor: Any, group: Any, client: Client, *, hang_s: float, shared: bool = False) -> None:
        self._actor, self._group, self._client, self._shared = actor, group, client, shared
        self._watch = HangWatch(hang_s)
        self._hang_s = hang_s
        self._earlier = self._joined = self._meter = EngineMeter()
        self.load = ReplicaLoad()
        self.starting = self._ask_whether_up()
        self.up: ReplicaUp | None = None
        self.reserved = False
        self.rejoined = False
        self.beating = False  # whether it has to answer heartbeats
        self.silent = False  # whether it was given up because it did not
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended_process: int | None = None
        self._idle = asyncio.Event()
        self._idle.set()

    def accept(self, outcome: ReplicaUp | AceError) -> ReplicaUp:
        """Take the outcome of a start. Raises what kept the engine from starting, and ProviderStartError."""
        if isinstance(outcome, AceError):
            raise outcome
        if outcome.ace != installed("ace-vllm"):
            raise ProviderStartError(
                f"node {outcome.node} has ace-vllm {outcome.ace}, and this machine {installed('ace-vllm')}",
                hint="install the same version on all nodes",
            )
        if self.up is None or self.up.process != outcome.process:
            self._earlier += self._meter - self._joined
            self._joined = self._meter = outcome.meter or EngineMeter()
        self.up = outcome
        self.beating, self.silent = True, False
        return outcome

    async def complete(self, request: Request) -> Completion:
        """Answer one request. EngineDeadError where the actor is lost, its engine died, or it hangs."""
        self.load.under_way += 1
        self._idle.clear()
        try:
            outcome = await self._ask(request)
        finally:
            self.load.under_way -= 1
            if self.load.under_way == 0:
                self._idle.set()
        if isinstance(outcome, EngineDeadError):
            self.end(restart=True)
        if isinstance(outcome, AceError):
            raise outcome
        self._meter = outcome.meter or self._meter
        return outcome.completion

    async def wait_until_idle(self) -> None:
        """Wait until no request is under way."""
        await self._idle.wait()

    def send(self, request: Request) -> None:
        """Give the engine a request whose answer nobody waits for."""
        self._actor.complete.remote(request, self._client)

    def beat(self) -> Any:
        """Ask the actor to say that it is there; a reference to its answer."""
        return self._actor.beat.remote(self._client)

    def give_up(self) -> None:
        """Give up what is under way: the actor is silent. Called from any thread."""
        if self._loop is not None and self.beating:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and with it what was under way
                self._loop.call_soon_threadsafe(self._end_waiting)

    def _end_waiting(self) -> None:
        self.silent = self.load.under_way > 0
        self._watch.expire()

    def count_tokens(self, text: str, limit_s: float) -> int:
        """Tokens of `text`. EngineDeadError where it does not answer."""
        try:
            outcome: int | AceError = ray.get(self._actor.count_tokens.remote(text), timeout=limit_s)
        except RayError as error:
            raise self._lost(error) from error
        if isinstance(outcome, AceError):
            raise outcome
        return outcome

    def meter(self) -> EngineMeter:
        """Steps of the actor's engines since this run has them, up to the latest answer."""
        return self._earlier + (self._meter - self._joined)

    async def wait_for_restart(self) -> ReplicaUp:
        """Wait until Ray has the actor up, for the first time or again.

        EngineDeadError where it will never be, or its engine does not start.
        """
        while True:
            try:
                outcome = await _answer(self.starting)
                if isinstance(outcome, AceError) or outcome.process != self._ended_process:
                    return self.accept(outcome)
            except ActorUnavailableError:
                pass  # Ray starts it again
            except RayError as error:
                raise self._lost(error) from error
            except AceError as error:
                raise EngineDeadError(f"a replica could not be started again: {error.message}") from error
            await asyncio.sleep(RETRY_S)
            self.starting = self._ask_whether_up()

    def mark_lost(self) -> None:
        """Expect the actor to come back, as another process with an empty cache or, where it was silent, as it was."""
        self.beating = False
        self.load.forget()
        self.starting = self._ask_whether_up()

    def end(self, *, restart: bool = False) -> None:
        """Kill the actor, or leave one that others share; with `restart` it is killed, and Ray starts it again.

        It may answer until it is dead.
        """
        if restart and self.up is not None:
            self._ended_process = self.up.process
        if self._shared and not restart:
            with contextlib.suppress(RayError):
                ray.get(self._actor.leave.remote(self._client), timeout=LEAVE_S)
            return
        with contextlib.suppress(RayError, ValueError):
            ray.kill(self._actor, no_restart=not restart)
        if self._group is not None and not restart:
            with contextlib.suppress(RayError):
                ray.util.remove_placement_group(self._group)

    async def close(self, limit_s: float) -> None:
        """Let the engine free what it holds, then kill the actor. A shared one does so by itself."""
        if self._shared:
            return
        with contextlib.suppress(RayError, TimeoutError):
            async with asyncio.timeout(limit_s):
                await _answer(self._actor.close.remote())
        self.end()

    async def _ask(self, request: Request) -> Answered | AceError:
        self._loop = asyncio.get_running_loop()
        reference = self._actor.complete.remote(request, self._client)
        try:
            with self._watch.request() as timeout:
                async with timeout:
                    outcome: Answered | AceError = await _answer(reference)
                    return outcome
        except asyncio.CancelledError:
            _cancel(reference)
            raise
        except TimeoutError:
            if self.silent:
                _cancel(reference)  # should it come back, it has better things to do
                raise EngineDeadError(f"{self._name} does not answer") from None
            return EngineDeadError(f"{self._name} hangs: nothing was answered for {self._hang_s:.0f} s")
        except RayError as error:
            raise self._lost(error) from error

    def _ask_whether_up(self) -> Any:
        return self._actor.up.remote(self._client)

    def _lost(self, error: Exception) -> EngineDeadError:
        return EngineDeadError(f"{self._name} is lost: {str(error).splitlines()[0]}")

    @property
    def _name(self) -> str:
        return "a replica" if self.up is None else f"the replica on node {self.up.node} (pid {self.up.process})"


async def _answer(reference: Any) -> Any:
    """Wait for an actor's answer. The connection of a `ray://` client breaks where a future of its own is cancelled."""
    answer = asyncio.ensure_future(reference)
    answer.add_done_callback(lambda done: done.cancelled() or done.exception())  # also where nobody waits any more
    return await asyncio.shield(answer)


def _cancel(reference: Any) -> None:
    with contextlib.suppress(RayError):
        ray.cancel(reference, force=False)
