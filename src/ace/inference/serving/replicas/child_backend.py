"""A process with one engine for us alone: it hears of its work over one socket, and ends when that is closed."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping

from ace.errors import ProviderStartError
from ace.inference.serving.remote.remote_backend import RemoteBackend, read_handshake
from ace.inference.serving.remote.wire_protocol import Handshake, Start, WireError, pack

PROGRAM = "ace.inference.serving.replicas.child_program"
"""The module that the process runs; see there what another one has to do."""

END_S = 30.0
"""How long the process may take to free its engine before it is killed."""

_ENDED_S = 1.0
"""How long after its connection ended a process may take to be gone."""


class Child:
    """The process of `program` from its start on, with `environment` besides ours.

    Ctrl-C in a terminal does not reach it.
    """

    def __init__(self, start: Start, environment: Mapping[str, str], program: str = PROGRAM) -> None:
        """Raises ProviderStartError where there can be no process."""
        self._began = time.perf_counter()
        self._model = start.settings.model
        self._backend: ChildBackend | None = None
        self._connection, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", program, str(theirs.fileno())],
                    pass_fds=(theirs.fileno(),),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,  # a program may read ours
                    env={**os.environ, **environment},
                    start_new_session=True,
                )
            except OSError as error:
                self._connection.close()
                raise ProviderStartError(f"no process for an engine of {self._model}: {error}") from error
        with contextlib.suppress(OSError):  # whoever waits for the engine hears that the process is gone
            self._connection.sendall(pack(start))

    def backend(self) -> ChildBackend:
        """Its engine, waited for. Raises what starting that raised, and ProviderStartError where the process ended."""
        try:
            hello = read_handshake(self._connection)
        except (OSError, WireError) as error:
            self.end()
            how = exit_description(self._process) or str(error)
            raise ProviderStartError(f"the process for an engine of {self._model} {how}") from error
        except BaseException:  # the engine's own error; Ctrl-C too
            self.end()
            raise
        start_s = time.perf_counter() - self._began
        self._backend = ChildBackend(self._process, self._connection, hello, start_s=start_s)
        return self._backend

    def end(self) -> None:
        """Kill the process, whatever it does."""
        self._process.kill()
        if self._backend is not None:
            self._backend.leave()
        self._connection.close()
        self._process.wait()


class ChildBackend(RemoteBackend):
    """The engine of a `Child`. Leaving it ends the process."""

    called = "the engine"

    def __init__(
        self, process: subprocess.Popen[bytes], connection: socket.socket, hello: Handshake, *, start_s: float
    ) -> None:
        self._process = process
        super().__init__(connection, hello, start_s=start_s, reason=hello.info.reason)

    def leave(self) -> None:
        """Close the connection and wait for the process, which is killed where it takes too long."""
        super().leave()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _describe_loss(self, error: Exception) -> str:
        return exit_description(self._process) or super()._describe_loss(error)


def exit_description(process: subprocess.Popen[bytes]) -> str:
    """In words; "" where it runs on."""
    try:
        code = process.wait(_ENDED_S)
    except subprocess.TimeoutExpired:
        return ""
    return f"ended with exit code {code}" if code >= 0 else f"was ended by {signal.Signals(-code).name}"
