"""The actor of one replica: an engine in a process of its own, somewhere on the cluster."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import platform
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import ray

from ace._util.machine import available_cores
from ace.config import ModelSettings
from ace.errors import AceError, EngineDeadError, InferenceError
from ace.inference.backend import Backend, BackendInfo, EngineMeter
from ace.inference.provider_choice import installed, on_cpu
from ace.inference.providers.provider_loader import load_engine
from ace.inference.providers.ray.fair_slots import FairSlots
from ace.types import Completion, Request

LoadEngine = Callable[[ModelSettings, float, str], Backend]
"""Starts a replica's engine with its part of the device's memory; the text says why there is one."""


def load_vllm(settings: ModelSettings, share: float, reason: str) -> Backend:
    """The engine of a replica. Errors are those of `load_engine`."""
    return load_engine(settings, "vllm", reason, share=share)


@dataclass(frozen=True, slots=True)
class Client:
    """A run that asks. In shared engines it has slots in proportion to `weight`."""

    id: str
    weight: float = 1.0


STARTER = Client("")
"""Stands for the run that starts a shared engine, until that says that it is there."""

CLOSE_S = 30.0
"""How long a shared engine may take to end its processes."""


@dataclass(frozen=True, slots=True)
class Sharing:
    """Limits of a shared engine in seconds: when a silent client counts as ended, how long it stays without any."""

    client_timeout_s: float
    keep_s: float


@dataclass(frozen=True, slots=True)
class ReplicaUp:
    """A replica whose engine is up. `ace` is its version of ace, `process` changes when it was started again."""

    info: BackendInfo
    node: str
    process: int
    ace: str | None
    meter: EngineMeter | None


@dataclass
class _Presence:
    """A client of the actor: its last sign of life, and its requests."""

    last_beat: float
    calls: set[asyncio.Task[object]] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Answered:
    """A completion, and the engine's meter after it."""

    completion: Completion
    meter: EngineMeter | None


class EngineActor:
    """The methods of the actor. Our errors are returned: what is raised here is the actor's own loss.

    Ray calls the constructor again in another process, perhaps on another node, where the first one died.
    """

    def __init__(
        self, settings: ModelSettings, load: LoadEngine, share: float | None, sharing: Sharing | None = None
    ) -> None:
        part = share if share is not None else self._share_of_cores(settings)
        self._slots = FairSlots(math.inf if sharing is None else settings.max_concurrency)
        self._clients: dict[str, _Presence] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._left = threading.Event()
        self._backend: Backend | AceError
        try:
            self._backend = load(settings, part, f"asked for, on node {platform.node()}")
        except AceError as error:
            self._backend = error
        if sharing is not None:
            self._presence(STARTER)
            threading.Thread(target=self._watch_clients, args=(sharing,), name="ace-clients", daemon=True).start()

    async def up(self, client: Client) -> ReplicaUp | AceError:
        """The engine, or what kept it from starting. `client` is one of its clients from now on."""
        await self.beat(client)
        if isinstance(self._backend, AceError):
            return self._backend
        meter = self._backend.meter()
        return ReplicaUp(self._backend.info, platform.node(), os.getpid(), installed("ace-vllm"), meter)

    async def beat(self, client: Client) -> None:
        """Say that the actor is there, and note that `client` is."""
        self._loop = asyncio.get_running_loop()
        self._presence(client)
        self._clients.pop(STARTER.id, None)

    async def complete(self, request: Request, client: Client) -> Answered | AceError:
        """Answer one request. A cancelled one is taken out of the engine."""
        if isinstance(self._backend, AceError):
            return EngineDeadError(self._backend.message)
        try:
            with self._noted(client):
                async with self._slots.slot(client.id, client.weight):
                    return Answered(await self._backend.complete(request), self._backend.meter())
        except AceError as error:
            return error
        except Exception as error:
            return InferenceError(f"the engine failed: {type(error).__name__}: {error}")

    async def count_tokens(self, text: str) -> int | AceError:
        """Tokens of `text`, by the model's own tokenizer."""
        if isinstance(self._backend, AceError):
            return self._backend
        try:
            return self._backend.count_tokens(text)
        except AceError as error:
            return error

    async def leave(self, client: Client) -> None:
        """Give up what `client` has under way. A shared engine that nobody else uses ends, at once or in `keep_s`."""
        self._forget(client.id)
        self._left.set()

    async def close(self) -> None:
        """Free the engine, with the processes that it may have."""
        if not isinstance(self._backend, AceError):
            await self._backend.close()

    def _presence(self, client: Client) -> _Presence:
        presence = self._clients.setdefault(client.id, _Presence(0.0))
        presence.last_beat = time.monotonic()
        return presence

    @contextlib.contextmanager
    def _noted(self, client: Client) -> Iterator[None]:
        """Count this call among those of `client`."""
        calls, call = self._presence(client).calls, asyncio.current_task()
        assert call is not None
        calls.add(call)
        try:
            yield
        finally:
            calls.discard(call)

    def _forget(self, client: str) -> None:
        """Take a client out, and what it has under way. From any thread."""
        presence = self._clients.pop(client, None)
        for call in presence.calls.copy() if presence is not None else ():
            call.get_loop().call_soon_threadsafe(call.cancel)

    def _watch_clients(self, sharing: Sharing) -> None:
        """Take out clients that were killed or cut off, and end the actor when it has been without any for long enough.

        A thread, because the run that started the actor may be gone before any method is called.
        """
        unused_since: float | None = None
        while True:
            self._left.wait(min(sharing.client_timeout_s, sharing.keep_s or sharing.client_timeout_s) / 4)
            self._left.clear()
            now = time.monotonic()
            for client, presence in list(self._clients.items()):
                if now - presence.last_beat > sharing.client_timeout_s:
                    self._forget(client)
            unused_since = None if self._clients else unused_since or now
            if unused_since is not None and now - unused_since >= sharing.keep_s:
                self._end()

    def _end(self) -> None:
        if self._loop is not None:
            with contextlib.suppress(Exception):
                asyncio.run_coroutine_threadsafe(self.close(), self._loop).result(CLOSE_S)
        ray.kill(ray.get_runtime_context().current_actor)

    @staticmethod
    def _share_of_cores(settings: ModelSettings) -> float:
        """On a CPU, the part of the memory that goes with the threads of this process."""
        threads = os.environ.get("OMP_NUM_THREADS", "")
        if not on_cpu() or not threads.isdecimal():
            return 1.0
        return min(1.0, int(threads) / available_cores())
