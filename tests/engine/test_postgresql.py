"""Runs whose store is a PostgreSQL. Each test has a schema of its own there."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ace_command import invoke
from micro_runs import all_roles, micro_backend, micro_model, settings
from postgresql_server import empty_schema
from sqlalchemy import func, select

from ace.engine import RunSummary, run
from ace.errors import InterruptedRunError, RunLockedError
from ace.inference import ScriptedBackend
from ace.playbook import Playbook
from ace.store import Exchange, Feedback, JournalEntry, RunStore
from ace.store.schema import metadata
from ace.tasks.micro.scripted_model import ScriptedMicroModel
from ace.types import ROLES, Completion, Request, Usage

pytestmark = pytest.mark.slow


@pytest.fixture
def store(postgresql: str) -> Iterator[str]:
    """The URL of an empty schema."""
    with empty_schema(postgresql) as url:
        yield url


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
    completion = Completion("so", "stop", Usage(1, 0, 1), "script")
    entry = JournalEntry("generator", "sha256:1", completion)
    with RunStore.open(store) as opened:
        made = opened.create_run(
            settings(tmp_path, store=store), task_digest="sha256:t", pack_digest="sha256:p", playbook=Playbook.empty()
        )
        opened.commit_journal(made, [entry])
        for _ in range(2):
            opened.commit_journal(made, [entry, entry], completions={"sha256:key": completion})
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


def play_run(store: str, folder: Path, name: str) -> str:
    """A whole run with mistakes in it, in this process. Returns its id."""
    wanted = settings(folder, **options(store, cache="none", name=name, adaptation__batch_size=2))
    return asyncio.run(run(wanted, backends=all_roles(ScriptedBackend(ScriptedMicroModel(slips=0.3))))).run


def rows_of(store: str, made: str) -> dict[str, int]:
    """Rows of each table that belong to the run."""
    counts = {}
    with RunStore.open(store, create=False) as opened, opened.engine.connect() as connection:
        for table in metadata.sorted_tables:
            key = table.c.get("run_id", table.c.id if table.name == "runs" else None)
            if key is not None:
                query = select(func.count()).select_from(table).where(key == made)
                counts[table.name] = connection.execute(query).scalar_one()
    return counts


def test_eight_runs_at_once_lose_no_row(store: str, tmp_path: Path) -> None:
    alone = play_run(f"sqlite:///{tmp_path}/alone.db", tmp_path, "alone")
    expected = rows_of(f"sqlite:///{tmp_path}/alone.db", alone)
    assert expected["calls"] > 20 and expected["journal"] == 0
    with multiprocessing.get_context("forkserver").Pool(8) as pool:
        made = pool.starmap(play_run, [(store, tmp_path, f"run-{number}") for number in range(8)])
    assert len(set(made)) == 8
    assert [rows_of(store, one) for one in made] == [expected] * 8
    with RunStore.open(store) as opened:
        assert {one.status for one in opened.list_runs()} == {"done"}


def test_many_processes_migrate_an_empty_database_at_once(store: str) -> None:
    with multiprocessing.get_context("forkserver").Pool(8) as pool:
        assert pool.map(open_store, [store] * 8) == [0] * 8


def open_store(store: str) -> int:
    with RunStore.open(store) as opened:
        return len(opened.list_runs())


def test_feedback_from_two_servers_is_stored_once(store: str, tmp_path: Path) -> None:
    with RunStore.open(store) as first, RunStore.open(store) as second:
        made = first.create_run(
            settings(tmp_path, store=store), task_digest="sha256:t", pack_digest="sha256:p", playbook=Playbook.empty()
        )
        exchange = Exchange("a", made, 0, "question", "answer")
        assert first.record_feedback([exchange], [Feedback("a", correct=True)]) == ("stored",)
        assert second.record_feedback([exchange], [Feedback("a", correct=True)]) == ("stored",)
        assert second.record_feedback([], [Feedback("a", correct=False), Feedback("b")]) == ("conflict", "unknown")
        assert len(first.pending_feedback(made)) == 1


def test_commands_read_a_store_on_postgresql(store: str, tmp_path: Path) -> None:
    one, two = (play_run(store, tmp_path, name) for name in ("one", "two"))
    commands = (
        ["runs", "--store", store],
        ["show", one, "--store", store],
        ["compare", one, two, "--store", store],
        ["report", one, two, "--store", store, "--output", str(tmp_path / "report.html")],
        ["playbook", "show", one, "--store", store],
    )
    for command in commands:
        result = invoke(*command)
        assert result.exit_code == 0, (command, result.output)
    assert "one" in (tmp_path / "report.html").read_text()


def test_the_dashboard_reads_a_store_on_postgresql(store: str, tmp_path: Path) -> None:
    pytest.importorskip("fastapi")
    from fastapi.testclient import TestClient

    from ace.dashboard import create_app

    made = play_run(store, tmp_path, "shown")
    with TestClient(create_app(store), base_url="http://127.0.0.1:8450") as client:
        for path in ("/", f"/runs/{made}", f"/runs/{made}/playbook"):
            assert client.get(path).status_code == 200
