"""The side that answers: one engine, and any number of connections to it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ace.errors import AceError, EngineDeadError, InferenceError
from ace.inference.backend import Backend
from ace.inference.engine_identity import Identity
from ace.inference.serving.remote.peer_credentials import is_ours
from ace.inference.serving.remote.wire_protocol import (
    LENGTH,
    Answer,
    Ask,
    Cancel,
    Count,
    Failure,
    FromServer,
    Handshake,
    Stop,
    TokenCount,
    WireError,
    from_client,
    pack,
    size_of,
)

PATIENCE_S = 5.0
"""How long one client may be slow to read before it is given up: it must not hold what others wait for."""


class EngineServer:
    """One engine. `stop` is called where it is dead for good, or a client wants the end."""

    def __init__(self, backend: Backend, identity: Identity, stop: Callable[[], None]) -> None:
        self._backend, self._identity, self._stop = backend, identity, stop
        self._since, self._calls, self._clients = time.time(), 0, 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until its client leaves: what it still waits for is then taken out of the engine."""
        with contextlib.closing(writer):
            connection: socket.socket | None = writer.get_extra_info("socket")
            if connection is None or not is_ours(connection):
                return
            under_way: dict[int, asyncio.Task[None]] = {}
            self._clients += 1
            try:
                await self._converse(reader, writer, under_way)
            except (asyncio.IncompleteReadError, ConnectionError, TimeoutError, WireError):
                pass  # it left, or is no client of ours
            finally:
                self._clients -= 1
                for task in under_way.values():
                    task.cancel()

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, under_way: dict[int, asyncio.Task[None]]
    ) -> None:
        await _send(writer, self.hello())
        while True:
            head = await reader.readexactly(LENGTH.size)
            match from_client(await reader.readexactly(size_of(head))):
                case Ask(number=number) as ask:
                    under_way[number] = task = asyncio.create_task(self._answer(ask, writer))
                    task.add_done_callback(partial(_forget, under_way, number))
                case Cancel(number=number):
                    if number in under_way:
                        under_way[number].cancel()
                case Count(number=number, text=text):
                    await _send(writer, self._count(number, text))
                case Stop():
                    self._stop()

    def hello(self) -> Handshake:
        """The handshake of this server, now."""
        return Handshake(
            self._identity,
            self._backend.info,
            os.getpid(),
            self._since,
            self._calls,
            self._clients,
            resident_bytes(),
            self._backend.meter(),
        )

    async def _answer(self, ask: Ask, writer: asyncio.StreamWriter) -> None:
        self._calls += 1
        reply: FromServer
        try:
            completion = await self._backend.complete(ask.request)
            reply = Answer(ask.number, completion, self._backend.meter())
        except AceError as error:
            reply = Failure.of(ask.number, error)
        except Exception as error:  # whatever it was, the client must hear of it, and the others must not
            reply = Failure.of(ask.number, InferenceError(f"the engine failed: {type(error).__name__}: {error}"))
        with contextlib.suppress(ConnectionError, TimeoutError):
            await _send(writer, reply)
        if isinstance(reply, Failure) and reply.error == EngineDeadError.__name__:
            self._stop()

    def _count(self, number: int, text: str) -> FromServer:
        try:
            return TokenCount(number, self._backend.count_tokens(text))
        except AceError as error:
            return Failure.of(number, error)


def _forget(under_way: dict[int, asyncio.Task[None]], number: int, _: asyncio.Task[None]) -> None:
    under_way.pop(number, None)


async def _send(writer: asyncio.StreamWriter, message: FromServer) -> None:
    writer.write(pack(message))
    async with asyncio.timeout(PATIENCE_S):
        await writer.drain()


def resident_bytes() -> int:
    """Memory that this process holds; 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
