"""Child processes that are forked from a server which has imported the packages: 0.05 s a child, not a second.

They are real processes: they can be killed, stopped and signalled, and share nothing with the tests but one pipe.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from typing import Any, Self, TextIO

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    ["crash_victim", "crash_endpoint", "writer", "ace.inference.providers.openai", "scripted_engine"]
)

INTERRUPTED = 130
"""The exit code of a child that Ctrl-C ended."""


class ForkedProcess:
    """A process that runs `function(*arguments)`; its exit code is what that returns.

    Both stdout and stderr of the child are the pipe that `output` reads.
    """

    def __init__(self, function: Callable[..., int], *arguments: Any) -> None:
        _start_server()
        reader, writer = _CONTEXT.Pipe(duplex=False)
        with writer:
            self._process = _CONTEXT.Process(target=_run, args=(writer, function, arguments))
            self._process.start()
        self.output: TextIO = io.TextIOWrapper(os.fdopen(os.dup(reader.fileno()), "rb"))
        reader.close()

        self._code: int | None = None

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """The exit code (negative: the signal that ended it), None while it runs."""
        if self._code is None:
            self._code = self._process.exitcode
        return self._code

    def send_signal(self, number: int) -> None:
        """Nothing happens where the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def end(self, timeout: float = 120) -> tuple[int, str]:
        """Wait for its end. Its exit code, and what it printed that was not read yet."""
        with self.output:
            printed = self.output.read()
        self._process.join(timeout)
        code = self.poll()
        if code is None:
            raise TimeoutError(f"process {self.pid} did not end within {timeout} s: {printed}")
        return code, printed

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Kill it where it still runs."""
        self.send_signal(signal.SIGKILL)
        self._process.join()
        self.output.close()


def _start_server() -> None:
    """Start the server where there is none yet, with our import path: what it cannot import it passes over."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    try:
        forkserver.ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def _run(writer: Connection, function: Callable[..., int], arguments: tuple[Any, ...]) -> None:
    for descriptor in (1, 2):
        os.dup2(writer.fileno(), descriptor)
    writer.close()
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    try:
        code = function(*arguments)
    except KeyboardInterrupt:
        code = INTERRUPTED
    sys.exit(code)
