"""`ace serve-engine` as a process, with the real engine, and commands that find it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from ace_command import invoke


@pytest.fixture
def runtime_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One of the test's own, with a short path, as a socket needs."""
    with tempfile.TemporaryDirectory(prefix="ace-t-") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        monkeypatch.setenv("ACE_WARM", "1")
        yield


@pytest.mark.engine
@pytest.mark.usefixtures("runtime_folder")
def test_a_run_uses_the_engine_until_it_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    command = [sys.executable, "-m", "ace", "serve-engine"]
    with subprocess.Popen(command, env=dict(os.environ), stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            assert server.stderr.readline().rstrip().endswith(": warm")
            done = invoke("quickstart")
            assert done.exit_code in (0, 4), done.output
            assert f"warm: ace serve-engine, pid {server.pid}" in done.stderr
            assert str(server.pid) in invoke("serve-engine", "--status").stdout
            assert "engines ended: 1" in invoke("serve-engine", "--stop").stdout
            assert server.wait(30) == 0
        finally:
            server.kill()
    assert "no engine is warm" in invoke("serve-engine", "--status").stdout
