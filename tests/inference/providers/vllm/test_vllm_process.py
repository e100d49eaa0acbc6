"""What a process with an engine leaves behind: after success, Ctrl-C and SIGKILL, seen from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = pytest.mark.engine

PROGRAM = """
import asyncio, sys
from ace.config import ModelSettings
from ace.inference.providers.vllm import create
from ace.types import Message, Request, Sampling

backend = create(ModelSettings(provider="vllm", model=sys.argv[1], max_model_len=512, dtype="float32"))
print("up", flush=True)
if sys.argv[2] == "once":
    sys.stdin.readline()

async def main():
    sampling = Sampling(max_tokens=400, temperature=1.0)
    while True:
        await asyncio.gather(*(backend.complete(Request((Message("user", "x"),), sampling)) for _ in range(4)))
        print("answered", flush=True)
        if sys.argv[2] == "once":
            await backend.close()
            return

asyncio.run(main())
"""


@contextmanager
def running(model: Path, how: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(model), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "default"},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_an_engine_answers_and_ends_without_a_word_and_listens_on_this_machine_only(tiny_model: Path) -> None:
    """torch.distributed has a store and a port for each of its groups, also where the engine is all alone."""
    with running(tiny_model, "once") as process:
        assert process.stdin is not None and process.stdout is not None
        assert process.stdout.readline() == "up\n"
        addresses = [address.ip for member in everyone(process) for address in listening(member)]
        out, err = process.communicate("go on\n", timeout=120)
    assert (process.returncode, out, err) == (0, "answered\n", "")
    assert addresses and set(addresses) <= {"127.0.0.1", "::1"}


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_nothing_outlives_a_process_that_is_ended_from_outside(tiny_model: Path, sent: signal.Signals) -> None:
    before = shared_memory()
    with running(tiny_model, "for ever") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        assert process.stdout.readline() == "answered\n"
        family = psutil.Process(process.pid).children(recursive=True)
        ports = {address.port for member in everyone(process) for address in listening(member)}
        process.send_signal(sent)
        process.communicate(timeout=30)
    assert process.returncode in (-sent, 130)
    _, alive = psutil.wait_procs(family, timeout=5)
    assert not alive
    assert not shared_memory() - before
    assert not ports & {c.laddr.port for c in psutil.net_connections("inet") if c.status == psutil.CONN_LISTEN}


def everyone(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The process and all that it started."""
    first = psutil.Process(process.pid)
    return [first, *first.children(recursive=True)]


def listening(process: psutil.Process) -> list[Any]:
    return [c.laddr for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN]


def shared_memory() -> set[str]:
    folder = Path("/dev/shm")
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()
