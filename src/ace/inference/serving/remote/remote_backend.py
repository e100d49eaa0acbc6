"""The side that asks: `RemoteBackend`, an engine in another process that looks like one in this one."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import queue
import socket
import threading
from concurrent.futures import Future, InvalidStateError
from dataclasses import replace
from typing import TypeVar

from ace._util.futures import settle
from ace.errors import AceError, EngineDeadError
from ace.inference.backend import BackendInfo, EngineMeter
from ace.inference.serving.remote.wire_protocol import (
    Answer,
    Ask,
    Cancel,
    Count,
    Failure,
    FromClient,
    Handshake,
    TokenCount,
    WireError,
    from_server,
    pack,
    read_frame,
)
from ace.types import Completion, Request

T = TypeVar("T", Answer, TokenCount)

COUNT_S = 60.0
"""How long counting the tokens of a text may take."""


def read_handshake(connection: socket.socket) -> Handshake:
    """Read the first message of the server at the other end of a new connection.

    OSError where it says nothing; WireError where it is another version's.
    """
    message = from_server(read_frame(connection))
    if not isinstance(message, Handshake):
        raise WireError(f"a handshake was expected, found {message.kind}")
    return message


class RemoteBackend:
    """Requests of any asyncio loop over one connection: one thread writes, one reads and settles what is waited for."""

    def __init__(self, connection: socket.socket, hello: Handshake, *, start_s: float, reason: str) -> None:
        self._connection = connection
        self.info: BackendInfo = replace(hello.info, start_s=start_s, reason=reason)
        self._pid = hello.pid
        self._numbers = itertools.count()
        self._waiting: dict[int, Future[Answer | TokenCount]] = {}
        self._guard = threading.Lock()
        self._death: EngineDeadError | None = None
        self._before = hello.meter or EngineMeter()
        self._meter = self._before
        self._outbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=work, name=f"ace-remote-{work.__name__.strip('_')}", daemon=True)
            for work in (self._write, self._read)
        ]
        for thread in self._threads:
            thread.start()

    async def complete(self, request: Request) -> Completion:
        """Answer one request. Cancelling it takes it out of the engine.

        Raises what the engine raises, and EngineDeadError once the server is gone.
        """
        number = next(self._numbers)
        try:
            answer = await asyncio.wrap_future(self._request(Answer, Ask(number, request)))
        except asyncio.CancelledError:
            self._send(Cancel(number))
            raise
        return answer.completion

    def count_tokens(self, text: str) -> int:
        """Tokens of `text`, counted by the engine's own tokenizer. Blocks for about a millisecond. EngineDeadError."""
        try:
            return self._request(TokenCount, Count(next(self._numbers), text)).result(COUNT_S).tokens
        except TimeoutError:
            raise self._dead("does not answer") from None

    def meter(self) -> EngineMeter:
        """The engine's steps from its handshake to our last answer, those for others included."""
        return self._meter - self._before

    async def close(self) -> None:
        """Like `leave`, without holding the loop up."""
        await asyncio.to_thread(self.leave)

    def leave(self) -> None:
        """Close the connection; the engine stays. Leaving twice does nothing."""
        self._fail("was left")
        self._outbox.put(None)
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._connection.close()

    def _request(self, _: type[T], message: Ask | Count) -> Future[T]:
        """Say it, and have the reply that is of its kind."""
        frame = pack(message)
        future: Future[T] = Future()
        with self._guard:
            if self._death is not None:
                raise self._death
            self._waiting[message.number] = future  # type: ignore[assignment]
        self._outbox.put(frame)
        return future

    def _send(self, message: FromClient) -> None:
        self._outbox.put(pack(message))

    def _write(self) -> None:
        while (frame := self._outbox.get()) is not None:
            try:
                self._connection.sendall(frame)
            except OSError as error:
                self._fail(f"does not listen: {error}")
                return

    def _read(self) -> None:
        try:
            while True:
                self._handle_reply(from_server(read_frame(self._connection)))
        except (OSError, WireError) as error:
            if self._death is None:  # else we were about to leave
                self._fail(f"is gone: {error}")

    def _handle_reply(self, reply: object) -> None:
        match reply:
            case Answer(number=number, meter=meter):
                self._meter = meter or self._meter
                self._settle(number, reply)
            case TokenCount(number=number):
                self._settle(number, reply)
            case Failure(number=number):
                self._settle(number, reply.to_error())
            case _:
                raise WireError("a reply was expected")

    def _settle(self, number: int, reply: Answer | TokenCount | AceError) -> None:
        with self._guard:
            future = self._waiting.pop(number, None)
        if future is None:
            return
        with contextlib.suppress(InvalidStateError):  # it was cancelled meanwhile
            settle(future, reply)

    def _fail(self, how: str) -> None:
        with self._guard:
            self._death = self._death or self._dead(how)
            numbers = tuple(self._waiting)
        for number in numbers:
            self._settle(number, self._death)

    def _dead(self, how: str) -> EngineDeadError:
        return EngineDeadError(f"the warm engine of {self.info.model} (pid {self._pid}) {how}", model=self.info.model)
