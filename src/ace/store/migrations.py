"""How a store came to its schema, step by step. A landed migration is never edited; the next change is a new one.

Each migration and its record commit in one transaction, so a crash leaves the schema before it or after it. The SQL is
what SQLite and PostgreSQL both understand.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Engine, func, insert, inspect, select

from ace.errors import StoreError, StoreVersionError
from ace.store.database import lock_schema, write_transaction
from ace.store.records import utcnow
from ace.store.schema import migrations as applied


@dataclass(frozen=True, slots=True)
class Migration:
    """The statements that lead from schema `version` - 1 to `version`."""

    version: int
    name: str
    statements: tuple[str, ...]


_FIRST = Migration(
    1,
    "runs, batches, playbook versions, calls, outcomes, evaluations",
    (
        """CREATE TABLE schema_migrations (
            version INTEGER NOT NULL PRIMARY KEY,
            name TEXT NOT NULL,
            applied TEXT NOT NULL
        )""",
        """CREATE TABLE runs (
            id TEXT NOT NULL PRIMARY KEY,
            name TEXT NOT NULL,
            created TEXT NOT NULL,
            finished TEXT,
            ace_version TEXT NOT NULL,
            settings TEXT NOT NULL,
            settings_digest TEXT NOT NULL,
            task TEXT NOT NULL,
            task_digest TEXT NOT NULL,
            pack TEXT NOT NULL,
            pack_digest TEXT NOT NULL,
            status TEXT NOT NULL CHECK (status IN ('running', 'done', 'interrupted', 'failed', 'budget')),
            summary TEXT,
            best_version INTEGER,
            owner_token TEXT,
            owner_pid INTEGER,
            owner_host TEXT,
            owner_process TEXT,
            owner_heartbeat TEXT
        )""",
        "CREATE INDEX runs_by_time ON runs (created)",
        """CREATE TABLE batches (
            run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
            idx INTEGER NOT NULL,
            epoch INTEGER NOT NULL,
            compacted BOOLEAN NOT NULL,
            window_info TEXT NOT NULL,
            started TEXT NOT NULL,
            finished TEXT NOT NULL,
            PRIMARY KEY (run_id, idx)
        )""",
        """CREATE TABLE playbook_versions (
            run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
            step INTEGER NOT NULL,
            version INTEGER NOT NULL,
            batch INTEGER,
            created TEXT NOT NULL,
            digest TEXT NOT NULL,
            bullets INTEGER NOT NULL,
            delta TEXT NOT NULL,
            skipped TEXT NOT NULL,
            playbook TEXT NOT NULL,
            PRIMARY KEY (run_id, step),
            FOREIGN KEY (run_id, batch) REFERENCES batches (run_id, idx) ON DELETE CASCADE,
            CHECK ((batch IS NULL AND step = 0) OR batch = step - 1)
        )""",
        """CREATE TABLE evaluations (
            run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
            idx INTEGER NOT NULL,
            label TEXT NOT NULL,
            split TEXT NOT NULL,
            playbook_version INTEGER NOT NULL,
            after_batch INTEGER,
            n INTEGER NOT NULL,
            correct INTEGER NOT NULL,
            failed INTEGER NOT NULL,
            started TEXT NOT NULL,
            finished TEXT NOT NULL,
            PRIMARY KEY (run_id, idx),
            FOREIGN KEY (run_id, after_batch) REFERENCES batches (run_id, idx)
        )""",
        """CREATE TABLE calls (
            run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
            seq INTEGER NOT NULL,
            batch INTEGER,
            evaluation INTEGER,
            role TEXT NOT NULL,
            sample_id TEXT,
            round INTEGER NOT NULL,
            digest TEXT NOT NULL,
            model TEXT NOT NULL,
            prompt_tokens INTEGER NOT NULL,
            cached_tokens INTEGER NOT NULL,
            completion_tokens INTEGER NOT NULL,
            queue_s DOUBLE PRECISION,
            ttft_s DOUBLE PRECISION,
            total_s DOUBLE PRECISION NOT NULL,
            finish_reason TEXT NOT NULL,
            parsed BOOLEAN NOT NULL,
            error TEXT,
            text TEXT NOT NULL,
            PRIMARY KEY (run_id, seq),
            FOREIGN KEY (run_id, batch) REFERENCES batches (run_id, idx) ON DELETE CASCADE,
            FOREIGN KEY (run_id, evaluation) REFERENCES evaluations (run_id, idx) ON DELETE CASCADE,
            CHECK ((batch IS NULL) <> (evaluation IS NULL))
        )""",
        "CREATE INDEX calls_by_batch ON calls (run_id, batch)",
        "CREATE INDEX calls_by_evaluation ON calls (run_id, evaluation)",
        """CREATE TABLE outcomes (
            run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
            seq INTEGER NOT NULL,
            batch INTEGER,
            evaluation INTEGER,
            position INTEGER NOT NULL,
            sample_id TEXT NOT NULL,
            status TEXT NOT NULL CHECK (status IN ('scored', 'failed')),
            value DOUBLE PRECISION,
            correct BOOLEAN,
            rounds INTEGER NOT NULL,
            first_correct BOOLEAN,
            error TEXT,
            answer TEXT NOT NULL,
            PRIMARY KEY (run_id, seq),
            UNIQUE (run_id, batch, position),
            UNIQUE (run_id, evaluation, position),
            FOREIGN KEY (run_id, batch) REFERENCES batches (run_id, idx) ON DELETE CASCADE,
            FOREIGN KEY (run_id, evaluation) REFERENCES evaluations (run_id, idx) ON DELETE CASCADE,
            CHECK ((batch IS NULL) <> (evaluation IS NULL))
        )""",
    ),
)

_JOURNAL = Migration(
    2,
    "journal of calls that no batch or evaluation holds yet",
    (
        """CREATE TABLE journal (
            run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
            digest TEXT NOT NULL,
            role TEXT NOT NULL,
            model TEXT NOT NULL,
            attempts INTEGER NOT NULL,
            prompt_tokens INTEGER NOT NULL,
            cached_tokens INTEGER NOT NULL,
            completion_tokens INTEGER NOT NULL,
            queue_s DOUBLE PRECISION,
            ttft_s DOUBLE PRECISION,
            total_s DOUBLE PRECISION NOT NULL,
            finish_reason TEXT NOT NULL,
            text TEXT NOT NULL,
            PRIMARY KEY (run_id, digest)
        )""",
    ),
)

_CACHE = Migration(
    3,
    "completion cache over all runs",
    (
        """CREATE TABLE completions (
            digest TEXT NOT NULL PRIMARY KEY,
            created TEXT NOT NULL,
            model TEXT NOT NULL,
            finish_reason TEXT NOT NULL,
            text TEXT NOT NULL
        )""",
        "CREATE INDEX completions_by_time ON completions (created)",
        "ALTER TABLE calls ADD COLUMN from_cache BOOLEAN NOT NULL DEFAULT FALSE",
        "ALTER TABLE journal ADD COLUMN from_cache BOOLEAN NOT NULL DEFAULT FALSE",
    ),
)

_STOPS = Migration(
    4,
    "why reflecting on a sample ended",
    ("ALTER TABLE outcomes ADD COLUMN stop TEXT",),
)

_METRICS = Migration(
    5,
    "the task's own numbers of an evaluation",
    ("ALTER TABLE evaluations ADD COLUMN metrics TEXT",),
)

_SPECULATION = Migration(
    6,
    "what speculative decoding guessed, and what was taken",
    tuple(
        f"ALTER TABLE {table} ADD COLUMN {column} INTEGER NOT NULL DEFAULT 0"
        for table in ("calls", "journal")
        for column in ("drafted_tokens", "accepted_tokens", "draft_steps")
    ),
)

_ESCALATED = Migration(
    7,
    "why a call went to the role's larger model",
    (
        "ALTER TABLE calls ADD COLUMN escalated TEXT",
        "ALTER TABLE journal ADD COLUMN escalated TEXT",
    ),
)

_FAILURES = Migration(
    8,
    "why things failed, which samples were asked again, and tokens that are reasoning or estimates",
    (
        *(
            f"ALTER TABLE {table} ADD COLUMN {column} INTEGER NOT NULL DEFAULT 0"
            for table in ("calls", "journal")
            for column in ("reasoning_tokens", "estimated_tokens")
        ),
        "ALTER TABLE runs ADD COLUMN error TEXT",
        "ALTER TABLE runs ADD COLUMN notes TEXT",
        "ALTER TABLE batches ADD COLUMN errors TEXT",
        "ALTER TABLE outcomes ADD COLUMN retried_in INTEGER",
        # Answers that could not be read were kept until now, and would be given again for ever.
        "DELETE FROM completions WHERE finish_reason = 'error' OR text IN (SELECT text FROM calls WHERE NOT parsed)",
    ),
)

MIGRATIONS: tuple[Migration, ...] = (_FIRST, _JOURNAL, _CACHE, _STOPS, _METRICS, _SPECULATION, _ESCALATED, _FAILURES)
SCHEMA_VERSION = MIGRATIONS[-1].version


def migrate(engine: Engine, name: str, *, create: bool = True, steps: tuple[Migration, ...] = MIGRATIONS) -> None:
    """Bring the store `name` up to the last of `steps`, one transaction a step.

    StoreVersionError where its schema is newer than ours, StoreError where it holds tables of something else, or none
    and `create` is False.
    """
    version = _checked_version(engine, name, steps[-1].version)
    if version == steps[-1].version:
        return
    if version == 0 and not create:
        raise StoreError(f"no store in {name}", hint="start a run first, or name another store")
    for step in steps:
        with write_transaction(engine) as connection:
            lock_schema(connection)
            if current_version(connection) >= step.version:  # already there, or another process was faster
                continue
            for statement in step.statements:
                connection.exec_driver_sql(statement)
            connection.execute(insert(applied).values(version=step.version, name=step.name, applied=utcnow()))


def current_version(connection: Connection) -> int:
    """The schema version of an open store, 0 where it has none yet."""
    if not inspect(connection).has_table(applied.name):
        return 0
    return connection.execute(select(func.max(applied.c.version))).scalar_one() or 0


def _checked_version(engine: Engine, name: str, known: int) -> int:
    with engine.connect() as connection:
        version = current_version(connection)
        strangers = () if version else tuple(inspect(connection).get_table_names())
    if version > known:
        raise StoreVersionError(
            f"{name} has schema version {version}; this ace knows versions up to {known}",
            hint="upgrade ace-vllm, or name another store",
            found=version,
            known=known,
        )
    if engine.dialect.name == "sqlite" and strangers:
        raise StoreError(
            f"{name} is a database, but not a store of ace (it has the tables {', '.join(strangers[:5])})",
            hint="name another file with store=sqlite:///PATH",
        )
    return version
