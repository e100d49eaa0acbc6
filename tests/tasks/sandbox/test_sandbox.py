"""What a program in the sandbox may do, and what it may not."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import psutil
import pytest

from ace.tasks.sandbox.sandbox import Limits, run_python

LIMITS = Limits(timeout_s=5.0, memory_mb=256)


@pytest.mark.parametrize(
    "source",
    [
        "print('fine')",
        "import json, re, math, itertools, collections, datetime, random, heapq, functools",
        "open('note.txt', 'w').write('x'); assert open('note.txt').read() == 'x'; import os; os.remove('note.txt')",
        "import threading; t = threading.Thread(target=print); t.start(); t.join()",
    ],
)
def test_what_it_may(source: str) -> None:
    outcome = run_python(source, LIMITS)
    assert outcome.passed, outcome


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import socket; socket.socket()", "the sandbox refuses socket"),
        ("import urllib.request; urllib.request.urlopen('http://127.0.0.1')", "refuses"),
        ("import subprocess; subprocess.run(['true'])", "the sandbox refuses subprocess.Popen"),
        ("import os; os.fork()", "the sandbox refuses os.fork"),
        ("import os; os.system('true')", "the sandbox refuses os.system"),
        ("import os; os.kill(os.getppid(), 9)", "the sandbox refuses os.kill"),
        ("import ctypes", "the sandbox refuses ctypes"),
        ("open('/tmp/ace-sandbox-escape', 'w')", "refuses to write '/tmp/ace-sandbox-escape'"),
        ("open('../escape', 'a')", "refuses to write '../escape'"),
        ("import os; os.open('/tmp/ace-sandbox-escape', os.O_CREAT | os.O_WRONLY)", "refuses to write"),
        ("import os; os.remove('/etc/hostname')", "the sandbox refuses os.remove outside its folder"),
        ("import os; os.rename('/tmp', 'x')", "outside its folder"),
        ("import shutil; shutil.rmtree('/tmp')", "outside its folder"),
        ("import os; os.symlink('/etc', 'etc')", "the sandbox refuses os.symlink"),
        ("x = bytearray(10**9)", "MemoryError"),
        ("open('big', 'wb').write(b'x' * 2**26)", "File too large"),
        ("raise ValueError('why')", "ValueError: why"),
        ("import sys; sys.exit(0)", "left before its end"),
        ("import os; os._exit(0)", "left before its end"),
        ("def f(: pass", "SyntaxError"),
    ],
)
def test_what_it_may_not(source: str, said: str) -> None:
    outcome = run_python(source, LIMITS)
    assert not outcome.passed
    assert said in outcome.output
    assert not Path("/tmp/ace-sandbox-escape").exists()


def test_it_sees_nothing_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "kq7canary")
    outcome = run_python("import os; print(dict(os.environ))", LIMITS)
    assert outcome.passed
    assert "kq7canary" not in outcome.output


@pytest.mark.parametrize("source", ["while True: pass", "import time; time.sleep(60)", "import signal; signal.pause()"])
def test_it_is_stopped_in_time(source: str) -> None:
    started = time.monotonic()
    outcome = run_python(source, Limits(timeout_s=1.0))
    assert outcome.timed_out
    assert "stopped after 1 s" in outcome.output
    assert time.monotonic() - started < 10


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # tests in other processes make folders in /tmp, too
    run_python("while True: pass", Limits(timeout_s=0.5))
    assert not [child for child in psutil.Process().children() if "sandbox/child.py" in " ".join(child.cmdline())]
    assert not list(tmp_path.iterdir())


def test_its_output_is_bounded() -> None:
    assert len(run_python("print('x' * 10**6)", LIMITS).output) <= 4_000
