"""Connection to the database of a store, the only file with code for one database."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import (
    URL,
    Connection,
    Dialect,
    Engine,
    Insert,
    NullPool,
    QueuePool,
    StaticPool,
    Table,
    create_engine,
    event,
    make_url,
)
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError, SQLAlchemyError
from sqlalchemy.util import LRUCache

from ace._util.files import sync_folder
from ace._util.install_commands import install_command
from ace.errors import StoreError

BUSY_TIMEOUT_S = 30.0
_WRITE = "ace_write"
_SYNCHRONOUS = "ace_synchronous"


@dataclass(frozen=True, slots=True)
class Database:
    """A live engine. `name` is what messages call it (no password); `shared` is False for one in memory only.

    Whoever reads or writes holds `turn` meanwhile: a database in memory has one connection, and so one thread at a
    time. The others need no turns, they have a connection for each.
    """

    engine: Engine
    name: str
    shared: bool = True
    turn: AbstractContextManager[object] = field(default_factory=nullcontext)


def open_database(url: str | Path, *, create: bool) -> Database:
    """Connect to `url`: a path, `sqlite:///path`, `sqlite://` (memory), `postgresql://...`. `create` makes folders."""
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        return _open_sqlite(parsed, create=create)
    if parsed.get_backend_name() == "postgresql":
        return _open_postgresql(parsed)
    raise StoreError(
        f"store {parsed!r}: no support for {parsed.get_backend_name()}",
        hint="use sqlite:///PATH or postgresql://HOST/NAME",
    )


def without_password(url: str) -> str:
    """`url` as it may be shown and stored."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        return url
    return parsed.render_as_string(hide_password=True) if parsed.password else url


@contextmanager
def write_transaction(engine: Engine, *, synced: bool = True) -> Iterator[Connection]:
    """A transaction that is the only writer from its first statement on (SQLite); commits at the end, or not at all.

    Without `synced` the commit survives the death of the process, but not a power loss: SQLite then waits for no disk.
    A synced commit also makes safe whatever was committed before it.
    """
    options = {_WRITE: True, _SYNCHRONOUS: "FULL" if synced else "NORMAL"}
    with engine.connect().execution_options(**options) as connection, connection.begin():
        yield connection


def insert_new(dialect: Dialect, table: Table) -> Insert:
    """An INSERT that passes over rows whose primary key the table has already."""
    if dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as postgresql_insert

        return postgresql_insert(table).on_conflict_do_nothing()
    return sqlite_insert(table).on_conflict_do_nothing()


def lock_schema(connection: Connection) -> None:
    """Until the transaction ends, nobody else changes the schema. On SQLite any write transaction does that already."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(4100251204)")


@contextmanager
def store_errors(name: str) -> Iterator[None]:
    """Turn whatever the database raises into a StoreError that names the store and what to do."""
    try:
        yield
    except DBAPIError as error:
        text = str(error.orig)
        raise StoreError(f"store {name}: {text}", hint=_hint(text)) from error
    except SQLAlchemyError as error:
        raise StoreError(f"store {name}: {error}") from error


_HINTS = (
    ("database is locked", "another process is writing; try again, or see who has the file open"),
    ("disk is full", "free some space; everything committed so far is safe"),
    ("disk i/o error", "check the disk; keep a store off network folders, or use PostgreSQL"),
    ("readonly", "make the file and its folder writable, or name another with --store PATH"),
    (
        "unable to open",
        "make the file and its folder readable and writable, or name another with --store PATH",
    ),
    ("not a database", "this file is something else; name another with --store PATH"),
    ("malformed", "the file is damaged; `sqlite3 FILE .recover` may save what it holds"),
)


def _hint(text: str) -> str:
    lower = text.lower()
    return next((hint for fragment, hint in _HINTS if fragment in lower), "")


def _parse(url: str | Path) -> URL:
    if isinstance(url, Path) or "://" not in url:
        return URL.create("sqlite", database=str(url))
    try:
        return make_url(url)
    except ArgumentError as error:
        raise StoreError(
            f"store {url.split('://')[0]}://...: not a URL", hint="use sqlite:///PATH or postgresql://HOST/NAME"
        ) from error


def _open_sqlite(url: URL, *, create: bool) -> Database:
    if url.database in (None, "", ":memory:"):
        engine = _sqlite_engine("sqlite://", poolclass=StaticPool, connect_args=_SQLITE_ARGS)
        _configure_sqlite(engine)
        return Database(engine, "sqlite:// (memory)", shared=False, turn=threading.RLock())
    path = Path(str(url.database)).expanduser()
    if create:
        _make_folder(path)
    elif not path.is_file() or path.stat().st_size == 0:
        raise StoreError(
            f"no store at {path}",
            hint="start a run first, or name another with --store PATH",
            path=str(path),
        )
    if not create and _is_readable_only(path):
        engine = _sqlite_engine("sqlite://", poolclass=QueuePool, creator=lambda: _connect_read_only(path))
        return Database(engine, str(path))
    engine = _sqlite_engine(url.set(database=str(path)), connect_args=_SQLITE_ARGS)
    _configure_sqlite(engine)
    return Database(engine, str(path))


_COMPILED: LRUCache[Any, Any] = LRUCache(500)


def _sqlite_engine(url: str | URL, **options: Any) -> Engine:
    """Make an engine that shares its compiled statements with all others: a store would compile about 20 anew."""
    engine = create_engine(url, **options)
    engine.dialect = _sqlite_dialect()  # a part of the key of a compiled statement
    return engine.execution_options(compiled_cache=_COMPILED)


@cache
def _sqlite_dialect() -> Dialect:
    with create_engine("sqlite://", poolclass=NullPool).connect() as connection:
        return connection.dialect  # initialized by the connection


def _is_readable_only(path: Path) -> bool:
    """A store that nobody has open, in a folder of somebody else: SQLite could not even make its index of the log."""
    return not path.with_name(path.name + "-wal").exists() and not os.access(path.parent, os.W_OK)


def _connect_read_only(path: Path) -> sqlite3.Connection:
    address = f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1"
    return sqlite3.connect(address, uri=True, check_same_thread=False)


# isolation_level None: we say BEGIN ourselves, so that reads are consistent and writers queue before they read.
_SQLITE_ARGS: dict[str, Any] = {"isolation_level": None, "timeout": BUSY_TIMEOUT_S, "check_same_thread": False}


def _configure_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def _pragmas(dbapi_connection: Any, record: object) -> None:
        cursor = dbapi_connection.cursor()
        cursor.execute("PRAGMA foreign_keys = ON")
        _switch_to_wal(cursor)
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        # WAL's default, NORMAL, would lose the last commits on power loss. The pool keeps connections as they are set.
        synchronous = options.get(_SYNCHRONOUS, connection.info.get(_SYNCHRONOUS))
        if synchronous != connection.info.get(_SYNCHRONOUS):
            connection.exec_driver_sql(f"PRAGMA synchronous = {synchronous}")
            connection.info[_SYNCHRONOUS] = synchronous
        connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get(_WRITE, False) else "BEGIN")


def _switch_to_wal(cursor: sqlite3.Cursor) -> None:
    """The one statement that SQLite refuses at once, whatever the time-out, while others open the same new file."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _make_folder(path: Path) -> None:
    """The folder of `path`, made if needed and known to survive a power loss."""
    try:
        missing = [folder for folder in path.parents if not folder.exists()]
        path.parent.mkdir(parents=True, exist_ok=True)
        for folder in missing:
            sync_folder(folder.parent)
        writable = os.access(path.parent, os.W_OK | os.X_OK) and (not path.exists() or os.access(path, os.W_OK))
    except OSError as error:
        raise _unwritable(path, error.strerror or str(error)) from error
    if path.is_dir():
        raise _unwritable(path, "is a folder, not a file")
    if not writable:
        raise _unwritable(path, "permission denied")


def _unwritable(path: Path, why: str) -> StoreError:
    folder = next((folder for folder in path.parents if folder.is_dir()), path.parent)
    return StoreError(
        f"cannot write the store {path}: {why}",
        hint=f"make {folder} writable, or name another with --store PATH",
        path=str(path),
    )


def _open_postgresql(url: URL) -> Database:
    if "+" not in url.drivername:
        url = url.set(drivername="postgresql+psycopg")
    name = url.render_as_string(hide_password=True)
    try:
        engine = create_engine(url, pool_pre_ping=True)
    except (ImportError, NoSuchModuleError) as error:
        raise StoreError(f"store {name}: its driver is not installed", hint=install_command("postgresql")) from error
    try:
        engine.connect().close()
    except OperationalError as error:
        raise StoreError(f"store {name}: {error.orig}", hint="check the address, the user and the password") from error
    return Database(engine, name)
