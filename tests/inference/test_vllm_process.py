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
from vllm_model import build_model

pytestmark = pytest.mark.engine

PROGRAM = """
import asyncio, sys
from ace.config import ModelSettings
from ace.inference.providers.vllm import create
from ace.types import Message, Request, Sampling

backend = create(ModelSettings(provider="vllm", model=sys.argv[1], max_model_len=512))
print("up", flush=True)

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


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_model(tmp_path_factory.mktemp("model"))


@contextmanager
def running(model: Path, how: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(model), how],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "default"},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_an_engine_starts_answers_and_ends_without_a_word(model: Path) -> None:
    with running(model, "once") as process:
        out, err = process.communicate(timeout=120)
    assert process.returncode == 0
    assert out == "up\nanswered\n"
    assert err == ""


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_nothing_outlives_a_process_that_is_ended_from_outside(model: Path, sent: signal.Signals) -> None:
    before = shared_memory()
    with running(model, "for ever") as process:
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


def test_an_engine_listens_on_this_machine_only(model: Path) -> None:
    """torch.distributed has a store and a port for each of its groups, also where the engine is all alone."""
    with running(model, "for ever") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        addresses = [address.ip for member in everyone(process) for address in listening(member)]
    assert addresses and set(addresses) <= {"127.0.0.1", "::1"}


def everyone(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The process and all that it started."""
    first = psutil.Process(process.pid)
    return [first, *first.children(recursive=True)]


def listening(process: psutil.Process) -> list[Any]:
    return [c.laddr for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN]


def shared_memory() -> set[str]:
    folder = Path("/dev/shm")
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()
