"""Migrations of a store's schema. A released migration is never edited; the next change is a new one.

All that a store lacks, and the records of it, commit in one transaction: a crash leaves the schema as it was, and a new
store waits for the disk once. The SQL is common to SQLite and PostgreSQL.
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
    """Statements that change schema `version` - 1 into `version`."""

    version: int
    name: str
    statements: tuple[str, ...]


_USAGE = """
            prompt_tokens INTEGER NOT NULL,
            cached_tokens INTEGER NOT NULL,
            completion_tokens INTEGER NOT NULL,
            queue_s DOUBLE PRECISION,
            ttft_s DOUBLE PRECISION,
            total_s DOUBLE PRECISION NOT NULL,
            drafted_tokens INTEGER NOT NULL,
            accepted_tokens INTEGER NOT NULL,
            draft_steps INTEGER NOT NULL,
            reasoning_tokens INTEGER NOT NULL,
            estimated_tokens INTEGER NOT NULL,"""

_FIRST = Migration(
    1,
    "runs, batches, playbook versions, evaluations, calls, outcomes, journal, completion cache",
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
            error TEXT,
            notes TEXT,
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
            errors TEXT,
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
            metrics TEXT,
            PRIMARY KEY (run_id, idx),
            FOREIGN KEY (run_id, after_batch) REFERENCES batches (run_id, idx)
        )""",
        f"""CREATE TABLE calls (
            run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
            seq INTEGER NOT NULL,
            batch INTEGER,
            evaluation INTEGER,
            role TEXT NOT NULL,
            sample_id TEXT,
            round INTEGER NOT NULL,
            digest TEXT NOT NULL,
            model TEXT NOT NULL,{_USAGE}
            finish_reason TEXT NOT NULL,
            from_cache BOOLEAN NOT NULL,
            escalated TEXT,
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
            stop TEXT,
            retried_in INTEGER,
            error TEXT,
            answer TEXT NOT NULL,
            PRIMARY KEY (run_id, seq),
            UNIQUE (run_id, batch, position),
            UNIQUE (run_id, evaluation, position),
            FOREIGN KEY (run_id, batch) REFERENCES batches (run_id, idx) ON DELETE CASCADE,
            FOREIGN KEY (run_id, evaluation) REFERENCES evaluations (run_id, idx) ON DELETE CASCADE,
            CHECK ((batch IS NULL) <> (evaluation IS NULL))
        )""",
        f"""CREATE TABLE journal (
            run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
            digest TEXT NOT NULL,
            role TEXT NOT NULL,
            model TEXT NOT NULL,
            attempts INTEGER NOT NULL,{_USAGE}
            finish_reason TEXT NOT NULL,
            from_cache BOOLEAN NOT NULL,
            escalated TEXT,
            text TEXT NOT NULL,
            PRIMARY KEY (run_id, digest)
        )""",
        """CREATE TABLE completions (
            digest TEXT NOT NULL PRIMARY KEY,
            created TEXT NOT NULL,
            model TEXT NOT NULL,
            finish_reason TEXT NOT NULL,
            text TEXT NOT NULL
        )""",
        "CREATE INDEX completions_by_time ON completions (created)",
    ),
)

_FEEDBACK = Migration(
    2,
    "answers to clients and the feedback on them",
    (
        """CREATE TABLE exchanges (
            request_id TEXT NOT NULL PRIMARY KEY,
            run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
            version INTEGER NOT NULL,
            created TEXT NOT NULL,
            model TEXT NOT NULL,
            question TEXT NOT NULL,
            answer TEXT NOT NULL
        )""",
        "CREATE INDEX exchanges_by_time ON exchanges (created)",
        """CREATE TABLE feedback (
            request_id TEXT NOT NULL PRIMARY KEY REFERENCES exchanges (request_id) ON DELETE CASCADE,
            run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
            created TEXT NOT NULL,
            correct BOOLEAN,
            score DOUBLE PRECISION,
            text TEXT NOT NULL,
            expected TEXT
        )""",
        "CREATE INDEX feedback_by_run ON feedback (run_id, created)",
        "CREATE INDEX outcomes_by_sample ON outcomes (run_id, sample_id)",
    ),
)

_PEOPLE = Migration(
    3,
    "requests of people to running runs, edits of playbooks, prompts of calls",
    (
        "ALTER TABLE runs ADD COLUMN control TEXT CHECK (control IN ('pause', 'stop'))",
        "ALTER TABLE runs ADD COLUMN paused TEXT",
        # A primary key cannot be changed in SQLite.
        """CREATE TABLE playbook_versions_2 (
            run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
            step INTEGER NOT NULL,
            edit INTEGER NOT NULL,
            version INTEGER NOT NULL,
            batch INTEGER,
            created TEXT NOT NULL,
            author TEXT,
            digest TEXT NOT NULL,
            bullets INTEGER NOT NULL,
            delta TEXT NOT NULL,
            skipped TEXT NOT NULL,
            playbook TEXT NOT NULL,
            PRIMARY KEY (run_id, step, edit),
            FOREIGN KEY (run_id, batch) REFERENCES batches (run_id, idx) ON DELETE CASCADE,
            CHECK ((batch IS NULL AND step = 0) OR batch = step - 1),
            CHECK ((edit = 0) = (author IS NULL))
        )""",
        """INSERT INTO playbook_versions_2
            SELECT run_id, step, 0, version, batch, created, NULL, digest, bullets, delta, skipped, playbook
            FROM playbook_versions""",
        "DROP TABLE playbook_versions",
        "ALTER TABLE playbook_versions_2 RENAME TO playbook_versions",
        """CREATE TABLE prompts (
            digest TEXT NOT NULL PRIMARY KEY,
            messages TEXT NOT NULL
        )""",
        """CREATE TABLE prompt_texts (
            digest TEXT NOT NULL PRIMARY KEY,
            text TEXT NOT NULL
        )""",
    ),
)

_CREDIT = Migration(
    4,
    "measured credit of bullets",
    (
        """CREATE TABLE credits (
            run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
            probe TEXT NOT NULL,
            bullet TEXT NOT NULL,
            version INTEGER NOT NULL,
            measure TEXT NOT NULL,
            measured TEXT NOT NULL,
            split TEXT NOT NULL,
            samples INTEGER NOT NULL,
            effect DOUBLE PRECISION NOT NULL,
            low DOUBLE PRECISION NOT NULL,
            high DOUBLE PRECISION NOT NULL,
            p_corrected DOUBLE PRECISION NOT NULL,
            lost INTEGER NOT NULL,
            gained INTEGER NOT NULL,
            content TEXT NOT NULL,
            PRIMARY KEY (run_id, probe, bullet, version, measure)
        )""",
    ),
)

MIGRATIONS: tuple[Migration, ...] = (_FIRST, _FEEDBACK, _PEOPLE, _CREDIT)
SCHEMA_VERSION = MIGRATIONS[-1].version


def migrate(engine: Engine, name: str, *, create: bool = True, steps: tuple[Migration, ...] = MIGRATIONS) -> None:
    """Migrate the store `name` to the last of `steps`.

    StoreVersionError where its schema is newer than ours, StoreError where it holds tables of something else, or none
    and `create` is False.
    """
    version = _checked_version(engine, name, steps[-1].version)
    if version == steps[-1].version:
        return
    if version == 0 and not create:
        raise StoreError(f"no store in {name}", hint="start a run first, or name another store")
    with write_transaction(engine) as connection:
        lock_schema(connection)
        version = current_version(connection)  # another process may have migrated it just now
        for step in steps:
            if step.version > version:
                for statement in step.statements:
                    connection.exec_driver_sql(statement)
                connection.execute(insert(applied).values(version=step.version, name=step.name, applied=utcnow()))


def current_version(connection: Connection) -> int:
    """Read the schema version of an open store; 0 where it has none yet."""
    if not inspect(connection).has_table(applied.name):
        return 0
    return connection.execute(select(func.max(applied.c.version))).scalar_one() or 0


def _checked_version(engine: Engine, name: str, newest: int) -> int:
    with engine.connect() as connection:
        version = current_version(connection)
        foreign = () if version else tuple(inspect(connection).get_table_names())
    if version > newest:
        raise StoreVersionError(
            f"{name} has schema version {version}; this ace reads versions up to {newest}",
            hint="upgrade ace-vllm, or name another store",
            found=version,
            newest=newest,
        )
    if engine.dialect.name == "sqlite" and foreign:
        raise StoreError(
            f"{name} is a database, but not a store of ace (it has the tables {', '.join(foreign[:5])})",
            hint="name another file with --store PATH",
        )
    return version
