"""`--json`: one object on stdout, with its kind, whatever stands in the store."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from ace_command import invoke
from micro_runs import all_roles, micro_backend, settings

from ace.engine import run
from ace.playbook import Delta, Provenance, Update
from ace.store import RunStore


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A run that is done, and whose first bullet a person has edited."""
    folder = tmp_path_factory.mktemp("json")
    summary = asyncio.run(run(settings(folder), backends=all_roles(micro_backend())))
    url = f"sqlite:///{folder}/ace.db"
    with RunStore.open(url) as opened:
        bullet = opened.playbook(summary.run).bullets[0].id
        edit = Update(bullet, "by hand \x1b[31m", provenance=Provenance(role="person"))
        opened.edit_playbook(summary.run, Delta((edit,)), author="Ada", version=opened.current_version(summary.run))
    return url


def printed(*arguments: str) -> Any:
    result = invoke(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.parametrize(
    ("command", "kind", "keys"),
    [
        (("runs",), "runs", {"runs"}),
        (("show",), "run", {"run", "evaluations", "batches", "versions", "usage"}),
        (("playbook", "show"), "playbook", {"playbook", "credit"}),
        (("playbook", "diff", "latest"), "diff", {"added", "removed", "updated", "retagged", "quarantined"}),
        (("playbook", "blame"), "blame", {"bullets"}),
    ],
)
def test_every_kind_has_its_documented_keys(store: str, command: tuple[str, ...], kind: str, keys: set[str]) -> None:
    body = printed(*command, "--store", store)
    assert (body["schema"], body["kind"]) == ("ace/1", kind)
    assert body.keys() - {"schema", "kind"} == keys
    documented = (Path(__file__).resolve().parents[2] / "docs" / "json.md").read_text(encoding="utf-8")
    assert all(f"`{key}`" in documented for key in (kind, *keys))


def test_the_run_has_its_evaluations_and_versions(store: str) -> None:
    body = printed("show", "--store", store)
    assert [each["label"] for each in body["evaluations"]] == ["before", "validation", "after"]
    assert body["versions"][-1]["author"] == "Ada" and body["run"]["best_version"] == body["versions"][-1]["version"]
    assert printed("runs", "--store", store)["runs"][0]["accuracy_after"] == 1.0


def test_blame_names_the_person_and_the_batch(store: str) -> None:
    first, second, *_ = printed("playbook", "blame", "--store", store)["bullets"]
    assert (first["author"], first["content"]) == ("Ada", "by hand [31m")
    assert second["author"] is None and second["batch"] == 0 and second["sample"] and second["time"]
    table = invoke("playbook", "blame", "--store", store).stdout
    assert "Ada" in table and "batch 1" in table
