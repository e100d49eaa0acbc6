"""What the crash tests share: start a victim, and compare what two runs left in their stores."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

VICTIM = Path(__file__).with_name("crash_victim.py")
HELPERS = [str(Path(__file__).parents[1] / name) for name in ("helpers", "inference")]
TIMES = {"created", "finished", "started", "queue_s", "ttft_s", "total_s", "seq", "idx"}
TABLES = {
    "batches": "idx",
    "playbook_versions": "step",
    "evaluations": "idx",
    "outcomes": "seq",
    "calls": "seq",
    "journal": "digest",
}


def start(folder: Path, **told: Any) -> subprocess.Popen[str]:
    """A victim in `folder` that has begun its run, or is about to."""
    victim = subprocess.Popen(
        [sys.executable, str(VICTIM), json.dumps({"folder": str(folder), **told})],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([*HELPERS, *filter(None, sys.path)])},
    )
    assert victim.stdout is not None
    assert victim.stdout.readline() == "ready\n", victim.communicate()[1]
    return victim


def end(victim: subprocess.Popen[str], timeout: float = 120) -> tuple[int, str]:
    """Its exit code (negative: the signal) and what it said on stderr."""
    _, said = victim.communicate(timeout=timeout)
    return victim.returncode, said


def finish(folder: Path, **told: Any) -> tuple[int, str]:
    """Run (or with `resume` go on with) the folder's run to its end."""
    return end(start(folder, **told))


def has_run(folder: Path) -> bool:
    """Whether a run was begun at all."""
    path = folder / "ace.db"
    if not path.exists() or path.stat().st_size == 0:
        return False
    with closing(sqlite3.connect(path)) as raw:
        tables = {name for (name,) in raw.execute("SELECT name FROM sqlite_master")}
        return "runs" in tables and raw.execute("SELECT count(*) FROM runs").fetchone() != (0,)


def kept(folder: Path) -> Counter[str]:
    """Digests of all answered calls that the store holds, committed or in the journal."""
    if not has_run(folder):
        return Counter()
    with closing(sqlite3.connect(folder / "ace.db")) as raw:
        rows = raw.execute("SELECT digest FROM calls UNION ALL SELECT digest FROM journal").fetchall()
    return Counter(digest for (digest,) in rows)


def answered(folder: Path) -> Counter[str]:
    """Digests of all calls that were answered, by any process."""
    log = folder / "calls.log"
    return Counter(log.read_text().split() if log.exists() else ())


def left(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Everything the store holds of its one run, in order, without times and without the run's own id.

    A playbook's digest covers the run's id in its provenance; the playbook itself is compared.
    """
    with closing(sqlite3.connect(folder / "ace.db")) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert raw.execute("PRAGMA foreign_key_check").fetchall() == []
        ((run, status),) = raw.execute("SELECT id, status FROM runs").fetchall()
        found: dict[str, list[tuple[Any, ...]]] = {"status": [(status,)]}

        def bare(value: Any) -> Any:
            return value.replace(run, "RUN") if isinstance(value, str) else value

        for table, order in TABLES.items():
            cursor = raw.execute(f"SELECT * FROM {table} ORDER BY {order}")
            names = [column[0] for column in cursor.description]
            skipped = {*TIMES, "digest"} if table == "playbook_versions" else TIMES
            wanted = [i for i, name in enumerate(names) if name not in skipped]
            found[table] = [tuple(bare(row[i]) for i in wanted) for row in cursor]
    return found
