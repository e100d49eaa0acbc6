"""The lease of a run: one owner at a time may write, with a token that every commit checks.

The owner renews the lease every `HEARTBEAT_S` seconds, or at its store's own interval. Another process takes a run over
when the owner's process is dead (same machine) or has not renewed the lease for `STALE_S` seconds (anywhere). Taking
over from a process that only slept is safe: its next commit finds another token and fails with RunLockedError before it
has written anything.
"""

from __future__ import annotations

import os
import secrets
import socket
import sys
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Row, bindparam, select, update
from sqlalchemy.exc import SQLAlchemyError

from ace.errors import RunLockedError
from ace.store.database import write_transaction
from ace.store.records import Owner, utcnow
from ace.store.schema import runs

HEARTBEAT_S = 10.0
STALE_S = 120.0

_OWNER_COLUMNS = (runs.c.owner_token, runs.c.owner_pid, runs.c.owner_host, runs.c.owner_process, runs.c.owner_heartbeat)

# Built once, because every commit runs it.
_TOKEN = select(runs.c.owner_token).where(runs.c.id == bindparam("run")).with_for_update()


def new_owner() -> Owner:
    """Make an owner of this process, with a new token."""
    return Owner(
        pid=os.getpid(),
        host=socket.gethostname(),
        heartbeat=utcnow(),
        token=secrets.token_hex(8),
        process=process_mark(os.getpid()) or "",
    )


def process_mark(pid: int) -> str | None:
    """`boot/pid namespace/start time` of a running process, which differs for a reused pid. None if it is dead.

    "" where the system cannot tell (no /proc).
    """
    proc = Path("/proc")
    if not (proc / "self" / "stat").exists():
        return _mark_without_proc(pid)
    try:
        fields = (proc / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    if fields[0] in "ZX":  # dead, not yet reaped
        return None
    return f"{_place()}/{fields[19]}"


def _place() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return "?/?"


def _mark_without_proc(pid: int) -> str | None:
    if sys.platform == "win32":  # os.kill would end the process there; only the heartbeat counts
        return ""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return ""


def is_live(owner: Owner, now: datetime) -> bool:
    """Return True if the owner may be running. Where its process is not visible, its heartbeat decides."""
    if (now - owner.heartbeat).total_seconds() > STALE_S:
        return False
    if owner.host != socket.gethostname():
        return True
    if owner.process and owner.process.rpartition("/")[0] != _place():
        return True  # same host name, but another boot or container: its pids mean nothing here
    mark = process_mark(owner.pid)
    return mark is not None and mark == owner.process


def owner_of(row: Row[*tuple[Any, ...]]) -> Owner | None:
    """Read the owner from a row of `runs`."""
    if row.owner_token is None:
        return None
    return Owner(row.owner_pid, row.owner_host, row.owner_heartbeat, row.owner_token, row.owner_process)


def take(connection: Connection, run_id: str, owner: Owner) -> None:
    """Make `owner` the run's owner; RunLockedError where another one lives. The run must exist."""
    row = connection.execute(select(*_OWNER_COLUMNS).where(runs.c.id == run_id).with_for_update()).one()
    holder = owner_of(row)
    now = utcnow()
    if holder is not None and is_live(holder, now):
        raise RunLockedError(
            f"run {run_id} belongs to process {holder.pid} on {holder.host}, "
            f"last seen {(now - holder.heartbeat).total_seconds():.0f} s ago",
            hint=f"stop that process first; a silent one loses the run after {STALE_S:.0f} s",
            run=run_id,
            pid=holder.pid,
            host=holder.host,
        )
    connection.execute(
        update(runs)
        .where(runs.c.id == run_id)
        .values(
            owner_token=owner.token,
            owner_pid=owner.pid,
            owner_host=owner.host,
            owner_process=owner.process,
            owner_heartbeat=now,
        )
    )


def check(connection: Connection, run_id: str, token: str | None) -> None:
    """Check that `token` owns the run, and lock its row until this transaction ends. RunLockedError otherwise."""
    if token is None or connection.execute(_TOKEN, {"run": run_id}).scalar_one_or_none() != token:
        raise RunLockedError(
            f"this process does not own run {run_id}, so it may not write to it",
            hint="another process took it over, or it was never acquired",
            run=run_id,
        )


def release_lease(connection: Connection, run_id: str, token: str) -> None:
    """Release the run if `token` still owns it."""
    connection.execute(
        update(runs)
        .where(runs.c.id == run_id, runs.c.owner_token == token)
        .values(owner_token=None, owner_pid=None, owner_host=None, owner_process=None, owner_heartbeat=None)
    )


class Heartbeat:
    """A thread that renews the heartbeats of the owned runs while this process runs."""

    def __init__(self, engine: Engine, interval_s: float) -> None:
        self._engine = engine
        self._interval_s = interval_s
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._tokens: frozenset[str] = frozenset()

    def keep(self, tokens: frozenset[str]) -> None:
        """Renew the heartbeats of the runs with these `tokens` from now on."""
        self._tokens = tokens
        if tokens and self._thread is None:
            self._thread = threading.Thread(target=self._beat, name="ace-store-heartbeat", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5.0)

    def _beat(self) -> None:
        while not self._stop.wait(self._interval_s):
            if not self._tokens:
                continue
            try:
                with write_transaction(self._engine) as connection:
                    connection.execute(
                        update(runs).where(runs.c.owner_token.in_(self._tokens)).values(owner_heartbeat=utcnow())
                    )
            except SQLAlchemyError:
                continue  # a busy or full disk fails the next commit, which reports it
