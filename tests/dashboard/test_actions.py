"""What people can do from the dashboard, and that no other site can do it for them."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hostile_corpus import CORPUS
from micro_runs import settings

from ace.engine import run
from ace.inference import ScriptedBackend
from ace.store import RunStore
from ace.tasks.micro.scripted_model import ScriptedMicroModel

pytest.importorskip("fastapi")

from fastapi.testclient import TestClient

from ace.dashboard import create_app

ORIGIN = "http://127.0.0.1:8450"


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    asyncio.run(run(settings(folder), backends={"main": ScriptedBackend(ScriptedMicroModel())}))
    return folder / "ace.db"


@pytest.fixture
def folder(finished_run: Path, tmp_path: Path) -> Path:
    shutil.copy(finished_run, tmp_path)
    return tmp_path


@pytest.fixture
def client(folder: Path) -> Iterator[TestClient]:
    with TestClient(create_app(f"sqlite:///{folder}/ace.db", author="Ada"), base_url=ORIGIN) as client:
        yield client


@pytest.fixture
def store(folder: Path) -> Iterator[RunStore]:
    with RunStore.open(f"sqlite:///{folder}/ace.db", create=False) as store:
        yield store


def form_of(client: TestClient, path: str) -> dict[str, str]:
    """The hidden fields of the page's forms, and the proposed author."""
    return dict(re.findall(r'<input[^>]* name="(\w+)"[^>]* value="([^"]*)"', client.get(path).text))


def send(client: TestClient, path: str, fields: dict[str, str], origin: str | None = ORIGIN) -> Any:
    headers = {} if origin is None else {"origin": origin}
    return client.post(path, data=fields, headers=headers, follow_redirects=False)


def test_a_bullet_is_edited_quarantined_and_released_with_author_and_time(client: TestClient, store: RunStore) -> None:
    identity = store.resolve("latest")
    bullet = store.playbook(identity).bullets[0]
    page = f"/runs/{identity}/bullets/{bullet.id}"
    steps = (
        ({"action": "edit", "content": "in other words", "reason": "shorter"}, "UPDATE"),
        ({"action": "withhold", "reason": "names a customer"}, "WITHHOLD"),
        ({"action": "release"}, "RELEASE"),
    )
    for fields, kind in steps:
        proposed = form_of(client, page)
        assert proposed["author"] == "Ada"
        answer = send(client, page, {**proposed, **fields})
        assert (answer.status_code, answer.headers.get("location")) == (303, page), answer.text
        change = store.deltas(identity)[-1]
        assert (change.author, change.delta.operations[0].type) == ("Ada", kind)
        assert change.version == store.run(identity).best_version
    after = store.playbook(identity, store.run(identity).best_version)
    assert after.by_id[bullet.id].content == "in other words"
    history = client.get(page).text
    assert all(text in history for text in ("Ada", "WITHHOLD", "names a customer", "shorter"))
    assert "Edits by people" in client.get(f"/runs/{identity}/playbook").text


def test_an_edit_of_a_page_that_is_out_of_date_is_refused(client: TestClient, store: RunStore) -> None:
    identity = store.resolve("latest")
    page = f"/runs/{identity}/bullets/{store.playbook(identity).bullets[0].id}"
    proposed = form_of(client, page)
    assert send(client, page, {**proposed, "action": "edit", "content": "one"}).status_code == 303
    second = send(client, page, {**proposed, "action": "edit", "content": "two"})
    assert second.status_code == 409 and "by now, not" in second.text
    nameless = send(client, page, {**form_of(client, page), "author": " ", "action": "edit", "content": "two"})
    assert nameless.status_code == 409 and "needs the name of its author" in nameless.text
    assert send(client, page, {**form_of(client, page), "action": "explode"}).status_code == 422


def test_a_running_run_is_paused_continued_and_stopped_and_not_edited(client: TestClient, store: RunStore) -> None:
    identity = store.resolve("latest")
    bullet = store.playbook(identity).bullets[0].id
    form = form_of(client, f"/runs/{identity}/bullets/{bullet}")
    refused = send(client, f"/runs/{identity}/control", {**form, "action": "pause"})
    assert refused.status_code == 409 and "is not running" in refused.text
    store.acquire(identity)
    path = f"/runs/{identity}/control"
    token = form_of(client, f"/runs/{identity}")
    for action, control in (("pause", "pause"), ("continue", None), ("stop", "stop")):
        assert send(client, path, {**token, "action": action}).status_code == 303
        assert store.control(identity) == control
    assert "The run is stopping" in client.get(f"/runs/{identity}").text
    assert send(client, path, {**token, "action": "explode"}).status_code == 422
    edit = send(client, f"/runs/{identity}/bullets/{bullet}", {**form, "action": "edit", "content": "x"})
    assert edit.status_code == 409 and len(store.playbook_versions(identity)) == store.run(identity).batches + 1
    assert "Stop it to edit" in client.get(f"/runs/{identity}/bullets/{bullet}").text


@pytest.mark.parametrize(
    ("origin", "changed"),
    [
        (None, {}),
        ("null", {}),
        ("http://evil.example", {}),
        (ORIGIN, {"form_token": "wrong"}),
        (ORIGIN, {"form_token": ""}),
    ],
)
def test_a_form_of_another_site_changes_nothing(
    client: TestClient, store: RunStore, origin: str | None, changed: dict[str, str]
) -> None:
    identity = store.resolve("latest")
    store.acquire(identity)
    token = form_of(client, f"/runs/{identity}")
    answer = send(client, f"/runs/{identity}/control", {**token, "action": "stop", **changed}, origin)
    assert answer.status_code == 403 and store.control(identity) is None


def test_a_large_form_is_refused(client: TestClient, store: RunStore) -> None:
    identity = store.resolve("latest")
    page = f"/runs/{identity}/bullets/{store.playbook(identity).bullets[0].id}"
    fields = {**form_of(client, page), "action": "edit", "content": "x" * 300_000}
    assert send(client, page, fields).status_code == 413


def test_hostile_edits_add_no_element_and_survive(client: TestClient, store: RunStore) -> None:
    identity = store.resolve("latest")
    page = f"/runs/{identity}/bullets/{store.playbook(identity).bullets[0].id}"
    plain = {**form_of(client, page), "action": "edit", "content": "plain", "reason": "plain", "author": "plain"}
    send(client, page, plain)
    elements = len(re.findall(r"<\w", client.get(page).text))
    row = None
    for case in [one.text for one in CORPUS if one.text.strip() and len(one.text) < 10_000][:12]:
        text = case.encode("utf-8", "replace").decode()
        answer = send(client, page, {**form_of(client, page), "action": "edit", "content": text, "author": text})
        if answer.status_code != 303:
            continue
        grown = len(re.findall(r"<\w", client.get(page).text)) - elements
        row = row or grown
        elements += grown
        assert grown == row, text


def test_the_prompt_of_a_call_is_shown_with_what_the_cache_had(client: TestClient, store: RunStore) -> None:
    identity = store.resolve("latest")
    call = store.calls(identity, batch=0)[0]
    messages = store.prompt(call.digest)
    assert messages is not None
    listed = client.get(f"/runs/{identity}/calls?batch=0&role=generator").text
    assert f"/runs/{identity}/calls/{call.digest.replace(':', '%3A')}" in listed
    page = client.get(f"/runs/{identity}/calls/{call.digest}").text
    assert "The cut is an estimate" in page and messages[-1].content[:20] in page
    assert client.get(f"/runs/{identity}/calls/sha256:0").status_code == 404
