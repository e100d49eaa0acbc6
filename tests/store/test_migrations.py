"""The schema: how it is made, that queries and migrations agree, and stores of other versions."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, inspect
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateColumn, CreateTable

from ace.errors import StoreError, StoreVersionError
from ace.store import RunStore
from ace.store.migrations import MIGRATIONS, SCHEMA_VERSION, Migration, migrate
from ace.store.schema import metadata


def test_migrations_are_numbered_without_gaps() -> None:
    assert [step.version for step in MIGRATIONS] == list(range(1, len(MIGRATIONS) + 1))


def test_queries_and_migrations_agree(store: RunStore) -> None:
    made = inspect(store.engine)
    dialect = store.engine.dialect
    assert set(made.get_table_names()) == set(metadata.tables)
    for table in metadata.tables.values():
        columns = made.get_columns(table.name)
        assert [column["name"] for column in columns] == [column.name for column in table.columns]
        assert [column["nullable"] for column in columns] == [column.nullable for column in table.columns]
        types = [str(column["type"]).replace("REAL", "DOUBLE") for column in columns]
        assert types == [str(CreateColumn(column).compile(dialect=dialect)).split()[1] for column in table.columns]
        assert made.get_pk_constraint(table.name)["constrained_columns"] == [c.name for c in table.primary_key]


def test_postgresql_has_the_same_types() -> None:
    statements = " ".join(" ".join(step.statements) for step in MIGRATIONS)
    for table in metadata.tables.values():
        ddl = str(CreateTable(table).compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]
        for word in ("TEXT", "INTEGER", "DOUBLE PRECISION", "BOOLEAN"):
            assert word not in ddl or word in statements
    assert "AUTOINCREMENT" not in statements


def test_the_version_is_recorded(store: RunStore, path: Path) -> None:
    with closing(sqlite3.connect(path)) as raw:
        rows = raw.execute("SELECT version, name FROM schema_migrations").fetchall()
    assert rows == [(step.version, step.name) for step in MIGRATIONS]


def test_a_newer_store_is_refused_naming_both_versions(path: Path) -> None:
    RunStore.open(path).close()
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("INSERT INTO schema_migrations VALUES (99, 'the future', '2099-01-01T00:00:00+00:00')")
        raw.commit()
    for create in (True, False):
        with pytest.raises(StoreVersionError, match=f"version 99; .* up to {SCHEMA_VERSION}") as caught:
            RunStore.open(path, create=create)
        assert caught.value.facts["found"] == 99


def test_a_migration_that_fails_leaves_the_schema_before_it(path: Path) -> None:
    RunStore.open(path).close()
    broken = Migration(
        SCHEMA_VERSION + 1, "broken", ("CREATE TABLE extra (a INTEGER)", "CREATE TABLE runs (a INTEGER)")
    )
    with RunStore.open(path) as store:
        with pytest.raises(Exception, match="already exists"):
            migrate(store.engine, store.name, steps=(*MIGRATIONS, broken))
        assert "extra" not in inspect(store.engine).get_table_names()
    RunStore.open(path).close()


def test_an_older_store_is_brought_up_to_date(path: Path) -> None:
    RunStore.open(path).close()
    following = Migration(SCHEMA_VERSION + 1, "more", ("CREATE TABLE extra (a INTEGER)",))
    with RunStore.open(path) as store:
        for _ in range(2):
            migrate(store.engine, store.name, create=False, steps=(*MIGRATIONS, following))
        assert "extra" in inspect(store.engine).get_table_names()


def test_a_store_of_schema_1_stays_readable(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as raw:
        raw.executescript((Path(__file__).parent / "fixtures" / "schema-1.sql").read_text(encoding="utf-8"))
    with RunStore.open(path, create=False) as store:
        run = store.resolve("latest")
        assert store.run(run).status == "done"
        assert store.run(run).summary == {"accuracy": 0.75}
        assert [batch.samples for batch in store.batches(run)] == [4, 4]
        assert len(store.playbook(run)) == 2
        assert [entry.operations for entry in store.playbook_versions(run)] == [{}, {"ADD": 1}, {"ADD": 1}]
        assert [entry.label for entry in store.evaluations(run)] == ["before"]
        assert {role: used.calls for role, used in store.usage_by_role(run).items()} == {
            "generator": 8,
            "reflector": 2,
            "curator": 2,
        }
        assert store.calls(run, batch=1)[0].text == "answer \x00 0"


def test_without_create_an_empty_database_stays_empty(tmp_path: Path) -> None:
    engine: Engine = create_engine(f"sqlite:///{tmp_path / 'empty.db'}")
    with pytest.raises(StoreError, match="no store in it"):
        migrate(engine, "it", create=False)
    assert inspect(engine).get_table_names() == []
    engine.dispose()
