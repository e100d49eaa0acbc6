"""The process that keeps engines warm: one Unix socket for each engine, and any number of runs behind it."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

from ace.config import ModelSettings
from ace.errors import ProviderStartError
from ace.inference.backend import Backend
from ace.inference.engine_identity import Identity
from ace.inference.serving.remote.connection_server import EngineServer
from ace.inference.serving.remote.wire_protocol import Handshake
from ace.inference.serving.warm.socket_paths import private_folder, socket_path


async def serve_engines(
    models: Sequence[tuple[ModelSettings, str]],
    start: Callable[[ModelSettings], Backend],
    ready: Callable[[Handshake], None],
    stopping: asyncio.Event,
) -> None:
    """Start an engine for each of `models` (with the provider that it means), and serve all until `stopping` is set.

    `ready` is called for each engine that is up. ProviderStartError where one is warm already; otherwise like `start`.
    """
    async with contextlib.AsyncExitStack() as stack:
        for settings, provider in models:
            identity = Identity.of(settings, provider)
            place = stack.enter_context(_claimed(socket_path(identity.engine)))
            backend = await asyncio.to_thread(start, settings)
            stack.push_async_callback(backend.close)
            server = EngineServer(backend, identity, stopping.set)
            await stack.enter_async_context(_listening(server, place))
            ready(server.hello())
        await stopping.wait()


@contextlib.contextmanager
def _claimed(place: Path) -> Iterator[Path]:
    """Hold the lock beside `place`, which the kernel gives back however we end: a socket there is then a dead one's."""
    private_folder()
    with place.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ProviderStartError(
                "an engine with these settings is warm already, or being started",
                hint="ace serve-engine --status shows it, --stop ends it",
            ) from None
        place.unlink(missing_ok=True)
        yield place


def wait_until_free(place: Path, limit_s: float) -> None:
    """Return when the server at `place` has freed its engines, which it does before it gives up its lock."""
    deadline = time.monotonic() + limit_s
    with contextlib.suppress(FileNotFoundError), place.with_suffix(".lock").open() as lock:
        while time.monotonic() < deadline:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            time.sleep(0.05)


@contextlib.asynccontextmanager
async def _listening(server: EngineServer, place: Path) -> AsyncIterator[None]:
    """Accept clients at `place`, and leave neither socket nor connection behind."""
    connections: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        try:
            await server.serve(reader, writer)
        except asyncio.CancelledError:
            pass  # the server ends, and asyncio would report that as a failure
        finally:
            connections.discard(task)

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        try:
            listener.bind(str(place))
        except OSError as error:
            raise ProviderStartError(f"cannot listen at {place}: {error}") from error
        try:
            place.chmod(0o600)
            async with await asyncio.start_unix_server(accept, sock=listener):
                yield
                for task in tuple(connections):
                    task.cancel()
                if connections:
                    await asyncio.wait(connections)
        finally:
            place.unlink(missing_ok=True)
