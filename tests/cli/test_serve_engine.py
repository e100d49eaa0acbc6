"""`ace serve-engine` as a process, with the real engine, and runs that find it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ACE = [sys.executable, "-m", "ace"]


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    """A runtime folder of the test's own."""
    with tempfile.TemporaryDirectory(prefix="ace-t-") as folder:
        yield {**os.environ, "XDG_RUNTIME_DIR": folder, "ACE_WARM": "1"}


@pytest.mark.engine
def test_two_runs_use_one_engine_and_a_third_does_without(tmp_path: Path, environment: dict[str, str]) -> None:
    def ace(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*ACE, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True)

    with subprocess.Popen([*ACE, "serve-engine"], env=environment, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            assert server.stderr.readline().rstrip().endswith(": warm")
            summaries = []
            for name in ("one", "two"):
                done = ace("quickstart", "--store", f"{name}.db", "--json", f"{name}.json")
                assert done.returncode in (0, 4), done.stderr
                assert f"warm: ace serve-engine, pid {server.pid}" in done.stderr
                summaries.append(json.loads((tmp_path / f"{name}.json").read_text()))
            assert all(summary["engine_start_s"] < 1 for summary in summaries)
            assert str(server.pid) in ace("serve-engine", "--status").stdout
            assert "engines ended: 1" in ace("serve-engine", "--stop").stdout
            assert server.wait(30) == 0
        finally:
            server.send_signal(signal.SIGKILL)
    assert "no engine is warm" in ace("serve-engine", "--status").stdout
