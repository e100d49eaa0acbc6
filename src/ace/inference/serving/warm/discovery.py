"""Discovery of a warm engine for given settings on this machine that is safe to use."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import NamedTuple

from ace.config import ModelSettings
from ace.inference.engine_identity import Identity
from ace.inference.serving.remote.peer_credentials import is_ours
from ace.inference.serving.remote.remote_backend import RemoteBackend, read_handshake
from ace.inference.serving.remote.wire_protocol import Handshake, WireError
from ace.inference.serving.warm.socket_paths import is_private, runtime_folder, socket_path

SWITCH = "ACE_WARM"
"""`ACE_WARM=0` in the environment: no engine of this process is a warm one. Benchmarks and tests set it."""


GREETING_S = 5.0
"""How long a warm engine may take to handshake: beyond that it is taken for dead."""


class WarmEngine(NamedTuple):
    """A warm engine, or None and why one that is there was passed over ("" where there is none)."""

    backend: RemoteBackend | None
    passed_over: str = ""


def find_warm(settings: ModelSettings, provider: str, reason: str) -> WarmEngine:
    """The warm engine for `settings`, where `provider` is what they mean and `reason` why.

    Quick, and without an import of the engine: nothing but a folder is looked at where none is warm.
    ModelNotFoundError for a local model that is not there.
    """
    if not settings.warm or os.environ.get(SWITCH) == "0" or not hasattr(socket, "AF_UNIX"):
        return WarmEngine(None)
    began = time.perf_counter()
    if not is_private(runtime_folder()):
        return WarmEngine(None)
    identity = Identity.of(settings, provider)
    place = socket_path(identity.engine)
    if not place.exists():
        return WarmEngine(None)
    try:
        connection, hello = handshake(place)
    except OSError:  # a killed server's, another user's, or one that hangs
        return WarmEngine(None, "the warm engine does not answer")
    except WireError:
        return WarmEngine(None, "the warm engine is served by another version of ace")
    if unlike := identity.unlike(hello.identity):
        connection.close()
        return WarmEngine(None, f"the warm engine (pid {hello.pid}) was started {unlike}")
    why = f"{reason}; warm: ace serve-engine, pid {hello.pid}"
    return WarmEngine(RemoteBackend(connection, hello, start_s=time.perf_counter() - began, reason=why))


def handshake(place: Path) -> tuple[socket.socket, Handshake]:
    """A connection to the server at `place`, and its handshake.

    OSError where nobody of ours listens; WireError where another version does.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(GREETING_S)
        connection.connect(str(place))
        if not is_ours(connection):
            raise PermissionError(f"{place} belongs to another user")
        hello = read_handshake(connection)
        connection.settimeout(None)
    except BaseException:  # Ctrl-C too
        connection.close()
        raise
    return connection, hello
