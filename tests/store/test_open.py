"""Opening a store: what is made, what is refused, and what the message says."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from builders import start
from forked import ForkedProcess
from writer import open_and_close

from ace.errors import StoreError
from ace.store import RunStore


@pytest.mark.parametrize("form", [str, "sqlite:///{}".format, Path])
def test_a_path_or_a_url(path: Path, form: type[str]) -> None:
    with RunStore.open(form(path)) as store:
        assert store.name == str(path)
    assert path.is_file()


def test_commits_are_fully_durable(store: RunStore) -> None:
    with store.engine.connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}


def test_reading_never_creates_a_store(path: Path) -> None:
    with pytest.raises(StoreError, match=f"no store at {path}"):
        RunStore.open(path, create=False)
    assert not path.parent.exists()
    path.parent.mkdir()
    path.touch()
    with pytest.raises(StoreError, match="no store"):
        RunStore.open(path, create=False)
    with closing(sqlite3.connect(path)) as raw:  # as a crash in the middle of the first opening leaves it
        raw.execute("PRAGMA journal_mode = WAL")
    with pytest.raises(StoreError, match="no store"):
        RunStore.open(path, create=False)
    RunStore.open(path).close()
    RunStore.open(path, create=False).close()


def test_a_file_that_is_no_database(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("name: run\n" * 100)
    with pytest.raises(StoreError, match=r"not a database.*something else"):
        RunStore.open(path)
    assert path.read_text() == "name: run\n" * 100


def test_a_database_of_something_else(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("CREATE TABLE customers (id)")
    with pytest.raises(StoreError, match=r"not a store of ace.*customers"):
        RunStore.open(path)


def test_a_folder_in_the_place_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is a folder"):
        RunStore.open(tmp_path)


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot write the store") as caught:
        RunStore.open(tmp_path / "file" / "ace.db")
    assert caught.value.facts["path"] == str(tmp_path / "file" / "ace.db")


AS_SOMEBODY_ELSE = """
import os, sys
from ace.errors import StoreError
from ace.store import RunStore
RunStore.open("sqlite://").close()  # load everything, while we may
if os.getuid() == 0:
    os.setuid(65534)
path, create = sys.argv[1], sys.argv[2] == "create"
try:
    with RunStore.open(path, create=create) as store:
        print(len(store.list_runs()), "runs")
except StoreError as error:
    print(error)
"""


@pytest.fixture
def foreign() -> Iterator[Path]:
    """A folder that others may read and not write, outside of pytest's own private ones."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
        folder.chmod(0o755)


def as_somebody_else(path: Path, mode: str) -> str:
    if os.getuid() != 0:
        path.parent.chmod(0o555)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", AS_SOMEBODY_ELSE, str(path), mode]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.skipif(os.name == "nt", reason="permissions")
def test_an_unwritable_folder(foreign: Path) -> None:
    said = as_somebody_else(foreign / "ace.db", "create")
    assert said.startswith(f"cannot write the store {foreign}/ace.db: permission denied (make {foreign} writable")


@pytest.mark.skipif(os.name == "nt", reason="permissions")
def test_somebody_elses_store_can_be_read(foreign: Path) -> None:
    with RunStore.open(foreign / "ace 100%?.db") as store:
        start(store)
    assert as_somebody_else(foreign / "ace 100%?.db", "read") == "1 runs"


@pytest.mark.skipif(not Path("/proc/version").exists(), reason="needs /proc")
def test_a_folder_that_nobody_can_write() -> None:
    with pytest.raises(StoreError, match=r"cannot write the store /proc/ace/ace\.db.*make /proc writable"):
        RunStore.open("/proc/ace/ace.db")


@pytest.mark.parametrize("url", ["mysql://h/d", "no scheme://", "://"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(StoreError, match="sqlite:///PATH or postgresql://"):
        RunStore.open(url)


def test_postgresql_without_its_driver_says_so_and_keeps_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)  # as where it is not installed
    with pytest.raises(StoreError, match=r"driver is not installed.*postgresql") as caught:
        RunStore.open("postgresql://user:secret@host/db")
    assert "secret" not in str(caught.value)


def test_closing_twice(path: Path) -> None:
    store = RunStore.open(path)
    run_id = start(store)
    store.close()
    store.close()
    with RunStore.open(path, create=False) as again:
        assert again.resolve("latest") == run_id


@pytest.mark.slow
def test_many_processes_open_a_new_store_at_once(path: Path) -> None:
    openers = [ForkedProcess(open_and_close, str(path)) for _ in range(4)]
    assert [opener.end(timeout=60) for opener in openers] == [(0, "")] * 4


def test_import_ace_loads_no_database() -> None:
    code = "import sys, ace; print('sqlalchemy' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.check_output([sys.executable, "-c", code], env=environment, text=True) == "False\n"
