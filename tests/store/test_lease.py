"""One owner a run, and what happens to a process that lost it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from builders import batch, evaluation, start
from sqlalchemy import update

from ace.errors import RunLockedError, RunNotFoundError
from ace.playbook.playbook import Playbook
from ace.store import RunStore, lease
from ace.store.records import utcnow
from ace.store.schema import runs


def silence(store: RunStore, run: str, seconds: float) -> None:
    """Make the owner's last heartbeat that old."""
    with store.engine.begin() as connection:
        when = utcnow() - timedelta(seconds=seconds)
        connection.execute(update(runs).where(runs.c.id == run).values(owner_heartbeat=when))


def test_a_second_store_cannot_write(store: RunStore, path: Path) -> None:
    run = start(store)
    with RunStore.open(path) as other:
        with pytest.raises(RunLockedError, match=f"belongs to process {os.getpid()}"):
            other.acquire(run)
        with pytest.raises(RunLockedError, match="does not own"):
            other.commit_batch(batch(run, 0, Playbook.empty()))
        with pytest.raises(RunLockedError):
            other.commit_evaluation(evaluation(run))
        with pytest.raises(RunLockedError):
            other.finish_run(run, "done")
    store.commit_batch(batch(run, 0, Playbook.empty()))
    assert store.run(run).batches == 1


def test_release_close_and_finish_give_the_run_up(store: RunStore, path: Path) -> None:
    run = start(store)
    store.release(run)
    store.release(run)
    with RunStore.open(path) as other:
        other.acquire(run)
        other.finish_run(run, "interrupted")
        other.acquire(run)
    store.acquire(run)
    store.acquire(run)
    assert store.run(run).status == "running"
    assert store.run(run).finished is None


def test_acquire_without_reopen_leaves_the_status(store: RunStore) -> None:
    run = start(store)
    store.finish_run(run, "done")
    store.acquire(run, reopen=False)
    assert store.run(run).status == "done"


def test_a_silent_owner_is_replaced_and_can_no_longer_commit(store: RunStore, path: Path) -> None:
    run = start(store)
    silence(store, run, lease.STALE_S + 1)
    assert store.run(run).abandoned
    with RunStore.open(path) as other:
        other.acquire(run)
        with pytest.raises(RunLockedError, match="does not own"):
            store.commit_batch(batch(run, 0, Playbook.empty()))
        store.release(run)
        assert other.run(run).live
        other.commit_batch(batch(run, 0, Playbook.empty()))


def test_an_unknown_run_cannot_be_acquired(store: RunStore) -> None:
    with pytest.raises(RunNotFoundError):
        store.acquire("nothing")


def test_liveness_of_owners() -> None:
    now = utcnow()
    me = lease.new_owner()
    assert lease.is_live(me, now)
    assert not lease.is_live(replace(me, heartbeat=now - timedelta(seconds=lease.STALE_S + 1)), now)
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    assert child.wait() == 0
    assert not lease.is_live(replace(me, pid=child.pid), now)


def test_elsewhere_only_the_heartbeat_counts() -> None:
    me, now = lease.new_owner(), utcnow()
    assert lease.is_live(replace(me, host="another", pid=999_999_999), now)
    assert not lease.is_live(replace(me, host="another", heartbeat=now - timedelta(seconds=lease.STALE_S + 1)), now)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_a_reused_pid_and_another_container_are_told_apart() -> None:
    me, now = lease.new_owner(), utcnow()
    place, _, begun = me.process.rpartition("/")
    assert not lease.is_live(replace(me, process=f"{place}/{int(begun) - 1}"), now)
    assert lease.is_live(replace(me, pid=999_999_999, process=f"other-boot/pid:[1]/{begun}"), now)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_a_zombie_is_dead() -> None:
    child = subprocess.Popen([sys.executable, "-c", "pass"], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.read()  # until it has ended; not waited for, so it stays a zombie
    for _ in range(500):
        if lease.process_mark(child.pid) is None:
            break
        threading.Event().wait(0.01)
    assert lease.process_mark(child.pid) is None
    child.stdout.close()
    child.wait()


def test_the_heartbeat_beats(path: Path) -> None:
    with RunStore.open(path, heartbeat_s=0.02) as store:
        run = start(store)
        silence(store, run, 60)
        for _ in range(500):
            owner = store.run(run).owner
            assert owner is not None
            if (utcnow() - owner.heartbeat).total_seconds() < 30:
                return
            threading.Event().wait(0.01)
    pytest.fail("no heartbeat")
