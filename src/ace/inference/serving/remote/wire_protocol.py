"""Messages between an engine's process and a run: frames of JSON, each after its length in four bytes.

The server sends `Handshake` first. Each `Ask` and `Count` is then answered by an `Answer`, a `TokenCount` or a
`Failure` of the same number, in any order; a `Cancel` is not answered. Both ends are of one version of
ace: `Identity`.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from ace.errors import AceError, InferenceError, RequestRejectedError
from ace.inference.backend import BackendInfo, EngineMeter
from ace.inference.engine_identity import Identity
from ace.types import Completion, Request

LENGTH = struct.Struct("!I")
MOST_BYTES = 64 << 20
"""In one frame. A longer one is no frame of ours."""


@dataclass(frozen=True, slots=True)
class Handshake:
    """The engine behind a socket, and its meter by now.

    `since` is in seconds since the epoch; `memory` is that of the whole process, in bytes.
    """

    identity: Identity
    info: BackendInfo
    pid: int
    since: float
    calls: int
    clients: int
    memory: int
    meter: EngineMeter | None = None
    kind: Literal["hello"] = "hello"


@dataclass(frozen=True, slots=True)
class Answer:
    """A completion, and the engine's meter after it."""

    number: int
    completion: Completion
    meter: EngineMeter | None
    kind: Literal["answer"] = "answer"


@dataclass(frozen=True, slots=True)
class TokenCount:
    """Number of tokens of a text."""

    number: int
    tokens: int
    kind: Literal["counted"] = "counted"


@dataclass(frozen=True, slots=True)
class Failure:
    """An error of `ace.errors`, by its class's name."""

    number: int
    error: str
    message: str
    hint: str
    facts: dict[str, Any]
    kind: Literal["failure"] = "failure"

    @classmethod
    def of(cls, number: int, error: AceError) -> Failure:
        plain = {
            name: value if isinstance(value, (str, int, float, type(None))) else str(value)
            for name, value in error.facts.items()
        }
        return cls(number, type(error).__name__, error.message, error.hint, plain)

    def to_error(self) -> AceError:
        """The error again; a class that is not ours becomes InferenceError."""
        kind = {error_class.__name__: error_class for error_class in _below(AceError)}.get(self.error, InferenceError)
        return kind(self.message, hint=self.hint, **self.facts)


@dataclass(frozen=True, slots=True)
class Ask:
    """Answer this request."""

    number: int
    request: Request
    kind: Literal["ask"] = "ask"


@dataclass(frozen=True, slots=True)
class Count:
    """Count the tokens of this text."""

    number: int
    text: str
    kind: Literal["count"] = "count"


@dataclass(frozen=True, slots=True)
class Cancel:
    """Nobody waits for the answer any more."""

    number: int
    kind: Literal["cancel"] = "cancel"


@dataclass(frozen=True, slots=True)
class Stop:
    """End, with all engines of the process."""

    kind: Literal["stop"] = "stop"


FromServer = Handshake | Answer | TokenCount | Failure
FromClient = Ask | Count | Cancel | Stop

_FROM_SERVER: TypeAdapter[FromServer] = TypeAdapter(Annotated[FromServer, Field(discriminator="kind")])
_FROM_CLIENT: TypeAdapter[FromClient] = TypeAdapter(Annotated[FromClient, Field(discriminator="kind")])


class WireError(Exception):
    """The other end sent something that is no frame of this version."""


def pack(message: FromServer | FromClient) -> bytes:
    """The frame for `message`. RequestRejectedError where it holds what JSON cannot, such as half a character."""
    adapter: TypeAdapter[Any] = _FROM_SERVER if isinstance(message, FromServer) else _FROM_CLIENT
    try:
        body = adapter.dump_json(message)
    except PydanticSerializationError as error:
        raise RequestRejectedError(f"the request is not valid Unicode or JSON: {error}") from None
    if len(body) > MOST_BYTES:
        raise RequestRejectedError(f"the request has {len(body)} bytes; an engine's process takes {MOST_BYTES}")
    return LENGTH.pack(len(body)) + body


def size_of(head: bytes) -> int:
    """The length of the frame that begins with these four bytes. WireError for one that nobody of ours would send."""
    (size,) = LENGTH.unpack(head)
    if size > MOST_BYTES:
        raise WireError(f"a frame of {size} bytes")
    return int(size)


def read_frame(connection: socket.socket) -> bytes:
    """The next frame without its length. ConnectionError where the other end is closed before; WireError."""
    return _exactly(connection, size_of(_exactly(connection, LENGTH.size)))


def from_server(body: bytes) -> FromServer:
    """Decode a message of the server. WireError."""
    message: FromServer = _read(_FROM_SERVER, body)
    return message


def from_client(body: bytes) -> FromClient:
    """Decode a message of a client. WireError."""
    message: FromClient = _read(_FROM_CLIENT, body)
    return message


def _exactly(connection: socket.socket, size: int) -> bytes:
    """So many bytes. ConnectionError where the other end is closed before."""
    body = bytearray()
    while len(body) < size:
        piece = connection.recv(min(size - len(body), 1 << 20))
        if not piece:
            raise ConnectionResetError("the connection ended")
        body += piece
    return bytes(body)


def _below(kind: type[AceError]) -> Iterator[type[AceError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _below(below)


def _read(adapter: TypeAdapter[Any], body: bytes) -> Any:
    try:
        return adapter.validate_json(body)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise WireError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except AceError as error:
        raise WireError(error.message) from None
