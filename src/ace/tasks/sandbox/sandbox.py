"""Execution of a Python program in a restricted process.

What holds: limits of CPU time, wall time, memory, file size and open files; an empty environment; a working folder that
is deleted; an audit hook that refuses sockets, other processes, foreign code and writing elsewhere; and, where the
kernel allows it, a network namespace without any interface. What does not: the code reads what this user can read, it
shares a process with its tests, and a flaw of the kernel or of CPython is a way out. Run code of models that you do not
trust in a container.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from ace.errors import SandboxError

MOST_OUTPUT = 4_000
"""Characters of output that are kept, from its end."""

_CHILD = Path(__file__).with_name("child.py")


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one program: wall-clock seconds (as many of CPU) and MiB of memory."""

    timeout_s: float = 10.0
    memory_mb: int = 512


@dataclass(frozen=True, slots=True)
class Outcome:
    """End of a program; `passed` if it reached its end. `output` is the end of what it printed, errors included."""

    passed: bool
    output: str
    timed_out: bool = False


def run_python(source: str, limits: Limits) -> Outcome:
    """Run `source` with this interpreter, without site packages. Blocks for up to `timeout_s`; Linux only.

    SandboxError where the process cannot be started.
    """
    end = f"sandbox-end-{secrets.token_hex(8)}"
    whole = f"{source}\nprint({end!r})\n"  # a program that leaves early has not passed
    with TemporaryDirectory(prefix="ace-sandbox-", ignore_cleanup_errors=True) as folder:
        try:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-B", _CHILD, str(int(limits.timeout_s) + 1), str(limits.memory_mb)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": folder, "PYTHONHASHSEED": "0"},
                start_new_session=True,
            )
        except OSError as error:
            raise SandboxError(f"the sandbox cannot be started: {error}") from error
        return _watch(process, whole, end, limits)


def _watch(process: subprocess.Popen[bytes], source: str, end: str, limits: Limits) -> Outcome:
    timed_out = False
    try:
        printed, _ = process.communicate(source.encode("utf-8", "surrogatepass"), timeout=limits.timeout_s)
    except subprocess.TimeoutExpired:
        timed_out = True
        printed = b""
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # whatever it started, too
        process.wait()
    if timed_out:
        printed, _ = process.communicate()
    text = printed.decode("utf-8", "replace").rstrip()
    passed = process.returncode == 0 and not timed_out and text.endswith(end)
    output = text.removesuffix(end)[-MOST_OUTPUT:].strip()
    if timed_out:
        output = f"{output}\nstopped after {limits.timeout_s:g} s".strip()
    elif not passed and process.returncode == 0:
        output = f"{output}\nthe program left before its end".strip()
    return Outcome(passed, output, timed_out)
