"""Real writers, killed with SIGKILL: the store opens, holds only whole batches, none acknowledged is gone."""

from __future__ import annotations

import random
import signal
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from forked import ForkedProcess
from writer import write_until_killed

from ace.errors import RunLockedError
from ace.store import RunStore

pytestmark = pytest.mark.slow

SAMPLES, CALLS = 64, 200


def spawn(path: Path) -> ForkedProcess:
    writer = ForkedProcess(write_until_killed, str(path), SAMPLES, CALLS)
    assert writer.output.readline() == "ready\n"
    return writer


def kill(writer: ForkedProcess) -> list[int]:
    """The indices that the writer acknowledged before it died."""
    writer.send_signal(signal.SIGKILL)
    code, printed = writer.end(timeout=30)
    assert code == -signal.SIGKILL
    return [int(line) for line in printed.splitlines()]


def check(path: Path) -> int:
    """Every batch is whole and in its place; returns how many there are."""
    with RunStore.open(path, create=False) as store:
        run = store.resolve("latest")
        batches = store.batches(run)
        assert [(batch.index, batch.samples) for batch in batches] == [(i, SAMPLES) for i in range(len(batches))]
        assert [entry.batch for entry in store.playbook_versions(run)] == [None, *range(len(batches))]
        assert len(store.playbook(run)) == len(batches)
    with closing(sqlite3.connect(path)) as raw:
        calls = raw.execute("SELECT batch, count(*) FROM calls GROUP BY batch ORDER BY batch").fetchall()
        assert calls == [(i, CALLS) for i in range(len(batches))]
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert raw.execute("PRAGMA foreign_key_check").fetchall() == []
    return len(batches)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_killed_writers_leave_whole_batches(path: Path) -> None:
    moments = random.Random(0)
    safe = kills = 0
    while kills < 5 or (safe == 0 and kills < 100):  # a busy machine may commit nothing for some kills
        writer = spawn(path)
        time.sleep(moments.uniform(0.0, 0.15))
        acknowledged = kill(writer)
        assert acknowledged == list(range(safe, safe + len(acknowledged)))
        found = check(path)
        assert safe + len(acknowledged) <= found <= safe + len(acknowledged) + 1
        safe, kills = found, kills + 1
    assert safe > 0


def test_a_live_writer_keeps_its_run_and_a_dead_one_loses_it(path: Path) -> None:
    with spawn(path) as writer, RunStore.open(path) as store:
        (run,) = store.list_runs()
        assert run.live
        assert not run.abandoned
        with pytest.raises(RunLockedError, match=f"process {writer.pid}"):
            store.acquire(run.id)
        kill(writer)
        assert store.run(run.id).abandoned
        store.acquire(run.id)
        assert store.run(run.id).live
