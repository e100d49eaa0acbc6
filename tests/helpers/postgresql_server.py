"""A PostgreSQL server of the tests' own: in a folder of its own, without a port, with data that nobody needs."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, make_url, text

START_S = 60.0
_FAST = ("-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off")


def programs() -> Path | None:
    """The folder of the newest PostgreSQL's programs; Debian keeps them off the path."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if installed:
        return installed[-1]
    server = shutil.which("postgres")
    return Path(server).parent if server else None


def skip_without_postgresql() -> Path:
    """The folder of the programs. Skips the test where they, or the driver, are missing."""
    found = programs()
    if found is None or find_spec("psycopg") is None:
        pytest.skip("needs PostgreSQL (apt-get install postgresql) and psycopg")
    return found


@contextmanager
def postgresql_server() -> Iterator[str]:
    """The URL of a new server's database. It runs as another user where the tests run as root, whom it refuses."""
    folder = Path(mkdtemp(prefix="ace-pg-"))  # short: it is also the folder of a socket
    user = _other_user()
    try:
        if user is not None:
            shutil.chown(folder, user)
        folder.chmod(0o755)
        bin_folder = skip_without_postgresql()
        initdb: list[str | Path] = [
            bin_folder / "initdb",
            "-D",
            folder / "data",
            "-U",
            "ace",
            "-A",
            "trust",
            "--no-sync",
            "-E",
            "UTF8",
        ]
        subprocess.run([*initdb, "--locale=C.UTF-8"], check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL)
        command: list[str | Path] = [
            bin_folder / "postgres",
            "-D",
            folder / "data",
            "-k",
            folder,
            "-c",
            "listen_addresses=",
            *_FAST,
        ]
        with (folder / "log").open("w") as log:
            server = subprocess.Popen(command, user=user, cwd=folder, stdout=log, stderr=log)
        try:
            url = f"postgresql+psycopg://ace@/postgres?host={folder}"
            _wait_for(url, server, folder / "log")
            yield url
        finally:
            server.terminate()
            server.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def empty_schema(server: str) -> Iterator[str]:
    """The URL of a new schema of the server, which is dropped at the end."""
    schema = f"ace_test_{uuid4().hex}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
        options = {"options": f"-csearch_path={schema}"}
        yield make_url(server).update_query_dict(options).render_as_string(hide_password=False)
        connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
    engine.dispose()


def _other_user() -> str | None:
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    engine = create_engine(url)
    deadline = time.monotonic() + START_S
    while True:
        try:
            engine.connect().close()
            break
        except Exception as error:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start: {log.read_text()}") from error
            time.sleep(0.1)
    engine.dispose()
