"""Credit of bullets: kept with the run, replaced by the same measurement, gone with the run."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from micro_runs import all_roles, micro_backend, settings
from typer.testing import CliRunner

from ace.cli.main import app
from ace.engine import run
from ace.errors import RunNotFoundError
from ace.playbook import Delta, Provenance, Update
from ace.reporting.bullet_credit import current_credit
from ace.store import CreditRecord, RunStore

FIRST = CreditRecord(
    "str-00001",
    "text",
    2,
    "validation",
    20,
    "right",
    0.25,
    0.05,
    0.45,
    0.03,
    5,
    0,
    "probe-1",
    datetime(2026, 1, 1, tzinfo=UTC),
)
LATER = replace(FIRST, probe="probe-2", effect=-0.1, measured=datetime(2026, 1, 2, tzinfo=UTC))


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a store with a run whose bullets were measured by the command."""
    folder = tmp_path_factory.mktemp("credit")
    backends = all_roles(micro_backend())
    asyncio.run(run(settings(folder), backends=backends))
    url = f"sqlite:///{folder}/ace.db"
    result = CliRunner().invoke(app, ["playbook", "credit", "latest", "--store", url], obj=backends)
    assert result.exit_code == 0, result.output
    return url


def test_records_are_read_newest_first_and_a_repeated_measurement_replaces_its_own(tmp_path: Path) -> None:
    name = asyncio.run(run(settings(tmp_path), backends=all_roles(micro_backend()))).run
    with RunStore.open(f"sqlite:///{tmp_path}/ace.db") as store:
        store.record_credit(name, [FIRST, replace(FIRST, bullet="str-00002")])
        store.record_credit(name, [LATER])
        store.record_credit(name, [replace(FIRST, effect=0.5)])
        assert store.credit(name) == (LATER, replace(FIRST, effect=0.5))
        assert store.credit(name, "str-00002") == ()
        with pytest.raises(RunNotFoundError):
            store.record_credit("nobody", [FIRST])


def test_the_command_keeps_what_it_measures_and_the_others_show_it(measured: str) -> None:
    with RunStore.open(measured) as store:
        probe, learned = (each.id for each in store.list_runs())
        playbook = store.playbook(learned)
        credit = current_credit(store.credit(learned), playbook.bullets)
        assert credit.keys() == {bullet.id for bullet in playbook.bullets}
        assert store.credit(probe) == ()
        assert store.resolve("latest") == learned, "the measurement is no run to go on with"
    assert {record.probe for record in credit.values()} == {probe}
    assert any(record.effect > 0 and record.lost > 0 for record in credit.values())

    def shown(*command: str) -> str:
        result = CliRunner().invoke(app, [*command, "--store", measured])
        assert result.exit_code == 0, result.output
        return result.stdout

    effects = {bullet: record.effect for bullet, record in credit.items()}
    body = json.loads(shown("playbook", "show", learned, "--json"))
    assert {bullet: record["effect"] for bullet, record in body["credit"].items()} == effects
    blamed = json.loads(shown("playbook", "blame", learned, "--json"))["bullets"]
    assert {bullet["id"]: bullet["credit"]["effect"] for bullet in blamed} == effects
    assert "credit, points" in shown("playbook", "show", learned)
    assert "credit, points" in shown("playbook", "blame", learned)
    assert "| credit, points |" in shown("report", learned, "--format", "md", "--output", "-")


def test_the_page_of_a_bullet_shows_its_credit(measured: str) -> None:
    testclient = pytest.importorskip("fastapi.testclient")
    from ace.dashboard import create_app

    with RunStore.open(measured) as store:
        probe, learned = (each.id for each in store.list_runs())
        record = store.credit(learned)[0]
    with testclient.TestClient(create_app(measured), base_url="http://127.0.0.1") as client:
        page = client.get(f"/runs/{learned}/bullets/{record.bullet}").text
        assert f'href="/runs/{probe}"' in page and f"{record.effect * 100:+.1f}" in page
        for path in (f"/runs/{learned}", f"/runs/{learned}/playbook"):
            assert "credit, points" in client.get(path).text
        assert "It was not measured" in client.get(f"/runs/{probe}/bullets/{record.bullet}").text


def test_a_reworded_bullet_has_no_credit_any_more(measured: str) -> None:
    testclient = pytest.importorskip("fastapi.testclient")
    from ace.dashboard import create_app

    with RunStore.open(measured) as store:
        learned = store.list_runs()[1].id
        first, *others = store.playbook(learned).bullets
        edit = Update(first.id, "other words", provenance=Provenance(role="person"))
        version = store.edit_playbook(learned, Delta((edit,)), author="Ada", version=store.current_version(learned))
        credit = current_credit(store.credit(learned), store.playbook(learned, version).bullets)
    assert credit.keys() == {bullet.id for bullet in others}
    with testclient.TestClient(create_app(measured), base_url="http://127.0.0.1") as client:
        assert "<td>earlier</td>" in client.get(f"/runs/{learned}/bullets/{first.id}").text
        for path in (f"/runs/{learned}", f"/runs/{learned}/playbook"):
            assert '<td class="number">–</td>' in client.get(path).text
