"""A short sample of the crash campaign, and the faults that are not deaths: disks, clocks, torn files, endpoints.

All of it, 200 points: `make crash`.
"""

from __future__ import annotations

import contextlib
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from campaign import Point, Reference, judge, points, reference
from crash_endpoint import run_endpoint
from crash_lab import answered, finish, has_run, kept, left, start
from forked import ForkedProcess

pytestmark = [pytest.mark.skipif(sys.platform == "win32", reason="signals"), pytest.mark.slow]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    """The uninterrupted run that all others are compared with."""
    return reference(tmp_path_factory.mktemp("whole") / "run")


@pytest.fixture
def half(tmp_path: Path) -> Path:
    """A folder whose run was killed about half-way."""
    code, _ = finish(tmp_path, kill={"kind": "call", "at": 80})
    assert code == -signal.SIGKILL
    return tmp_path


def resumed(folder: Path) -> dict[str, Any]:
    """What the folder's run leaves after it was resumed to its end."""
    code, said = finish(folder, resume=True)
    assert code == 0, said
    return left(folder)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_whatever_kills_a_run_its_end_is_the_same(tmp_path: Path, whole: Reference, seed: int) -> None:
    draw = points(seed, whole)
    verdict = judge(tmp_path / "run", [next(draw), next(draw)], whole)
    assert not verdict.differs
    assert verdict.asked_again == 0


@pytest.mark.parametrize("seed", [4, 5])
def test_a_pipelined_run_has_the_same_end_whatever_kills_it(tmp_path: Path, seed: int) -> None:
    whole = reference(tmp_path / "whole", {"adaptation__pipeline": 1})
    draw = points(seed, whole)
    assert judge(tmp_path / "run", [next(draw), next(draw), next(draw)], whole).good


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("ahead", [0, 1])
def test_a_death_while_a_batch_is_committed_and_the_next_one_has_begun(tmp_path: Path, ahead: int, sent: int) -> None:
    whole = reference(tmp_path / "whole", {"adaptation__pipeline": ahead})
    verdict = judge(tmp_path / "run", [Point("overlap", at, sent) for at in (1, 2, 2)], whole)
    assert len(verdict.deaths) == 3
    assert verdict.good


def test_a_batch_that_dies_late_costs_the_calls_in_flight(tmp_path: Path, whole: Reference) -> None:
    """Of everything that was answered before the death, at most the calls under way are asked again."""
    verdict = judge(tmp_path / "run", [Point("call", whole.calls - 12)], whole)
    assert verdict.good
    assert verdict.lost_in_flight <= 6, "no more than the batch's samples"


def test_two_processes_cannot_resume_one_run(half: Path) -> None:
    first = start(half, resume=True)
    deadline = time.monotonic() + 10
    while not _owned(half) and time.monotonic() < deadline:
        time.sleep(0.01)
    first.send_signal(signal.SIGSTOP)
    try:
        code, said = finish(half, resume=True)
        assert (code, "RunLockedError" in said) == (2, True)
    finally:
        first.send_signal(signal.SIGCONT)
    assert first.end()[0] == 0


def _owned(folder: Path) -> bool:
    with closing(sqlite3.connect(folder / "ace.db")) as raw:
        return raw.execute("SELECT status FROM runs").fetchone() == ("running",) and raw.execute(
            "SELECT owner_pid FROM runs"
        ).fetchone() not in ((None,), _dead(folder))


def _dead(folder: Path) -> Any:
    marker = folder / "dead.pid"
    if not marker.exists():
        with closing(sqlite3.connect(folder / "ace.db")) as raw:
            (pid,) = raw.execute("SELECT owner_pid FROM runs").fetchone()
        marker.write_text(str(pid))
    return (int(marker.read_text()),)


@pytest.mark.parametrize("limit", [60_000, 260_000])
def test_a_file_that_may_not_grow_loses_nothing(tmp_path: Path, whole: Reference, limit: int) -> None:
    code, said = finish(tmp_path, kill={"kind": "file_size", "at": limit})
    assert (code, "StoreError" in said) == (2, True), said
    held = kept(tmp_path)
    assert resume_or_begin(tmp_path) == whole.left
    assert (answered(tmp_path) - whole.answered).total() <= (answered(tmp_path) - held).total()


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small disk needs the right to mount one: {mounted.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def resume_or_begin(folder: Path) -> dict[str, Any]:
    code, said = finish(folder, resume=has_run(folder))
    assert code == 0, said
    return left(folder)


@pytest.mark.parametrize("size", ["192k", "512k"])
def test_a_full_disk_loses_nothing(tmp_path: Path, whole: Reference, size: str) -> None:
    with small_disk(tmp_path / "disk", size) as disk:
        code, said = finish(disk, log=str(tmp_path))
        assert (code, "StoreError" in said) == (2, True), said
        assert "free some space" in said
        subprocess.run(["mount", "-o", "remount,size=32m", str(disk)], check=True)
        assert resume_or_begin(disk) == whole.left


def test_a_store_on_a_disk_that_turns_read_only_loses_nothing(tmp_path: Path, whole: Reference) -> None:
    with small_disk(tmp_path / "disk", "32m") as disk:
        finish(disk, kill={"kind": "call", "at": 60}, log=str(tmp_path))
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        code, said = finish(disk, resume=True, log=str(tmp_path))
        assert (code, "StoreError" in said, "Traceback" in said) == (2, True, False), said
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        assert resumed(disk) == whole.left


@pytest.mark.parametrize("how", ["cut", "garbage", "gone"])
def test_a_torn_log_costs_what_was_in_it(half: Path, whole: Reference, how: str) -> None:
    """The end of the write-ahead log as a power loss may leave it: SQLite's checksums find it, the calls are owed."""
    log = half / "ace.db-wal"
    size = log.stat().st_size
    if how == "gone":
        log.write_bytes(b"")
    else:
        with log.open("r+b") as file:
            if how == "cut":
                file.truncate(size - 5000)
            else:
                file.seek(size - 5000)
                file.write(random.Random(0).randbytes(5000))
    code, said = finish(half, resume=has_run(half))
    assert code == 0, said
    assert left(half) == whole.left


def test_a_damaged_page_is_found_before_anything_is_built_on_it(half: Path) -> None:
    with closing(sqlite3.connect(half / "ace.db")) as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        ((root,),) = raw.execute("SELECT rootpage FROM sqlite_master WHERE name = 'playbook_versions'").fetchall()
        ((page,),) = raw.execute("PRAGMA page_size").fetchall()
    with (half / "ace.db").open("r+b") as file:
        file.seek((root - 1) * page)
        file.write(random.Random(0).randbytes(page))
    code, said = finish(half, resume=True)
    assert (code, "StoreError" in said, "Traceback" in said) == (2, True, False), said
    assert ".recover" in said


@pytest.mark.parametrize("hours", [-30, 30])
def test_a_clock_that_was_moved_does_not_matter(half: Path, whole: Reference, hours: int) -> None:
    """Moving what was written by some hours is moving the clock by as many hours the other way."""
    with closing(sqlite3.connect(half / "ace.db")) as raw:
        for table, column in [
            ("runs", "created"),
            ("runs", "owner_heartbeat"),
            ("batches", "started"),
            ("batches", "finished"),
            ("playbook_versions", "created"),
            ("evaluations", "started"),
            ("evaluations", "finished"),
        ]:
            raw.execute(
                f"UPDATE {table} SET {column} = "
                f"strftime('%Y-%m-%dT%H:%M:%f', {column}, '{hours:+d} hours') || '000+00:00' WHERE {column} IS NOT NULL"
            )
        raw.commit()
    assert resumed(half) == whole.left


class Server:
    """The endpoint's process, which can be killed and started again on its port."""

    def __init__(self, share: float = 0.0, seed: int = 0) -> None:
        self._share, self._seed, self.port = share, seed, 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self) -> None:
        self.process = ForkedProcess(run_endpoint, self.port, self._share, self._seed)
        self.port = int(self.process.output.readline())

    def kill(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(signal.SIGKILL)
        self.process.end()


@contextmanager
def server(share: float = 0.0, seed: int = 0) -> Iterator[Server]:
    running = Server(share, seed)
    try:
        yield running
    finally:
        with contextlib.suppress(ProcessLookupError):
            running.kill()


def over(running: Server, **model: Any) -> dict[str, Any]:
    return {"endpoint": running.url, "model": {"max_retries": 12, "timeout_s": 5, **model}}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a run over a healthy endpoint leaves."""
    pytest.importorskip("openai")
    folder = tmp_path_factory.mktemp("served")
    with server() as running:
        code, said = finish(folder, **over(running))
    assert code == 0, said
    return left(folder)


@pytest.mark.parametrize("seed", [0, 1])
def test_an_endpoint_that_fails_every_fourth_time_changes_nothing(
    tmp_path: Path, served: dict[str, Any], seed: int
) -> None:
    with server(share=0.25, seed=seed) as running:
        code, said = finish(tmp_path, **over(running))
    assert code == 0, said
    assert left(tmp_path) == served


def test_a_killed_endpoint_ends_the_run_and_a_new_one_goes_on(tmp_path: Path, served: dict[str, Any]) -> None:
    with server() as running:
        victim = start(tmp_path, **over(running, max_retries=1))
        time.sleep(0.4)
        running.kill()
        code, said = victim.end()
        assert (code, "EngineDeadError" in said) == (3, True), said
        assert "connection failed" in said
        running.start()
        code, said = finish(tmp_path, resume=has_run(tmp_path), **over(running))
        assert code == 0, said
    assert left(tmp_path) == served


def test_an_endpoint_that_is_replaced_in_time_is_waited_for(tmp_path: Path, served: dict[str, Any]) -> None:
    with server() as running:
        victim = start(tmp_path, **over(running))
        time.sleep(0.4)
        running.kill()
        running.start()
        code, said = victim.end()
    assert code == 0, said
    assert left(tmp_path) == served


def test_an_endpoint_that_hangs_is_asked_again(tmp_path: Path, served: dict[str, Any]) -> None:
    with server() as running:
        victim = start(tmp_path, **over(running, timeout_s=0.5))
        time.sleep(0.4)
        running.process.send_signal(signal.SIGSTOP)
        time.sleep(1.5)
        running.process.send_signal(signal.SIGCONT)
        code, said = victim.end()
    assert code == 0, said
    assert left(tmp_path) == served
