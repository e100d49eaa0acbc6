"""A run's store on a real PostgreSQL: `ACE_TEST_POSTGRESQL` names a database of ours, postgresql://USER:PASSWORD@HOST/NAME.

Each test has a schema of its own there, which it drops.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from micro_runs import all_roles, micro_backend, micro_model, settings
from sqlalchemy import create_engine, make_url, text

from ace.engine import RunSummary, run
from ace.errors import InterruptedRunError, RunLockedError
from ace.inference import ScriptedBackend
from ace.playbook import Playbook
from ace.store import JournalEntry, RunStore
from ace.types import ROLES, Completion, Request, Usage

DATABASE = os.environ.get("ACE_TEST_POSTGRESQL", "")

pytestmark = pytest.mark.skipif(
    not DATABASE or find_spec("psycopg") is None, reason="needs ACE_TEST_POSTGRESQL and psycopg"
)


@pytest.fixture
def store() -> Iterator[str]:
    """The URL of an empty schema."""
    url = make_url(DATABASE).set(drivername="postgresql+psycopg")
    schema = f"ace_test_{uuid4().hex}"
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
        yield url.update_query_dict({"options": f"-csearch_path={schema}"}).render_as_string(hide_password=False)
        connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
    engine.dispose()


class Mortal(ScriptedBackend):
    """Is interrupted at its call number `last`."""

    def __init__(self, last: int) -> None:
        super().__init__(micro_model)
        self._last = last

    async def complete(self, request: Request) -> Completion:
        if len(self.requests) == self._last:
            raise asyncio.CancelledError
        return await super().complete(request)


def options(store: str, **changes: Any) -> dict[str, Any]:
    return {"store": store, **{f"roles__{role}__temperature": 0.0 for role in ROLES}, **changes}


def outcome(summary: RunSummary, store: str) -> tuple[object, ...]:
    with RunStore.open(store, create=False) as opened:
        contents = sorted(bullet.content for bullet in opened.playbook(summary.run).bullets)
    return summary.status, summary.accuracy_before, summary.accuracy_after, summary.playbook_version, contents


def test_a_run_and_its_repetition_end_as_they_do_on_sqlite(store: str, tmp_path: Path) -> None:
    expected = asyncio.run(
        run(settings(tmp_path, **options(f"sqlite:///{tmp_path}/ace.db")), backends=all_roles(micro_backend()))
    )
    first = asyncio.run(run(settings(tmp_path, **options(store)), backends=all_roles(micro_backend())))
    assert outcome(first, store) == outcome(expected, f"sqlite:///{tmp_path}/ace.db")
    again = micro_backend()
    second = asyncio.run(run(settings(tmp_path, **options(store)), backends=all_roles(again)))
    assert again.requests == [] and outcome(second, store) == outcome(first, store)


@pytest.mark.parametrize("last", [3, 15, 29])
def test_an_interrupted_run_goes_on(store: str, tmp_path: Path, last: int) -> None:
    wanted = settings(tmp_path, **options(store, cache="none"))
    whole, rest = micro_backend(), micro_backend()
    expected = asyncio.run(run(wanted, backends=all_roles(whole)))
    assert last < len(whole.requests)
    with pytest.raises(InterruptedRunError) as told:
        asyncio.run(run(wanted, backends=all_roles(Mortal(last))))
    summary = asyncio.run(run(wanted, backends=all_roles(rest), resume=told.value.facts["run"]))
    assert outcome(summary, store) == outcome(expected, store)
    assert len(rest.requests) < len(whole.requests)


def test_a_call_that_is_kept_already_is_kept_once(store: str, tmp_path: Path) -> None:
    entry = JournalEntry("generator", "sha256:1", Completion("so", "stop", Usage(1, 0, 1), "script"), "sha256:key")
    with RunStore.open(store) as opened:
        made = opened.create_run(
            settings(tmp_path, store=store), task_digest="sha256:t", pack_digest="sha256:p", playbook=Playbook.empty()
        )
        opened.commit_journal(made, [entry])
        opened.commit_journal(made, [entry, entry])
        assert [known.digest for known in opened.journal(made)] == ["sha256:1"]
        found = opened.completion("sha256:key")
        assert found is not None and found.text == "so"


def test_a_run_has_one_owner(store: str, tmp_path: Path) -> None:
    with RunStore.open(store) as first, RunStore.open(store) as second:
        made = first.create_run(
            settings(tmp_path, store=store), task_digest="sha256:t", pack_digest="sha256:p", playbook=Playbook.empty()
        )
        with pytest.raises(RunLockedError):
            second.acquire(made)
