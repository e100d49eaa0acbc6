"""`ace ui` as a process: the address that it prints is the one that it serves."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ace.cli.main import app
from ace.store import RunStore

pytest.importorskip("uvicorn")


@pytest.fixture
def store(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/ace.db"
    RunStore.open(url).close()
    return url


@pytest.mark.slow
def test_port_0_takes_a_free_port_and_the_interrupt_key_ends_it_quietly(store: str) -> None:
    command = [sys.executable, "-c", "from ace.cli.main import main; main()", "ui", "--store", store, "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as served:
        try:
            assert served.stderr is not None
            found = re.search(r"http://127\.0\.0\.1:(\d+)/", served.stderr.readline())
            assert found is not None and int(found[1]) > 0
            with urllib.request.urlopen(found[0], timeout=60) as page:
                assert "No runs yet" in page.read().decode()
            served.send_signal(signal.SIGINT)
            assert served.wait(60) == 0
            assert "Traceback" not in served.stderr.read()
        finally:
            served.kill()


def test_a_port_in_use_is_one_message(store: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = CliRunner().invoke(app, ["ui", "--store", store, "--port", str(port)])
    assert result.exit_code == 2
    assert f"--port: found {port}, allowed: a free port of 127.0.0.1" in result.stderr
    assert "dashboard:" not in result.stderr
