"""What the crash tests share: start a victim, and compare what two runs left in their stores."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

from crash_victim import run_victim
from forked import ForkedProcess

TIMES = {"created", "finished", "started", "queue_s", "ttft_s", "total_s", "seq", "idx"}
TABLES = {
    "batches": "idx",
    "playbook_versions": "step",
    "evaluations": "idx",
    "outcomes": "seq",
    "calls": "seq",
    "journal": "digest",
}


def start(folder: Path, **told: Any) -> ForkedProcess:
    """A victim in `folder` that has begun its run, or is about to."""
    victim = ForkedProcess(run_victim, {"folder": str(folder), **told})
    first = victim.output.readline()
    assert first == "ready\n", first + victim.end()[1]
    return victim


def finish(folder: Path, **told: Any) -> tuple[int, str]:
    """Run (or with `resume` go on with) the folder's run to its end: the exit code and what was printed."""
    return start(folder, **told).end()


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
