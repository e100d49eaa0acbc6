"""The dashboard's pages: complete, safe, and for those alone who may see them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hostile_corpus import CORPUS
from micro_runs import settings

from ace.config import RunSettings
from ace.engine import run
from ace.inference import ScriptedBackend
from ace.playbook import Add, Delta, Playbook, Section, apply, write_playbook
from ace.store import RunStore
from ace.tasks.micro.scripted_model import ScriptedMicroModel

pytest.importorskip("fastapi")

from fastapi.testclient import TestClient

from ace.dashboard import create_app


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.links += [value or "" for name, value in attrs if name == "href" and tag == "a"]

    def handle_data(self, data: str) -> None:
        self.text += data


def micro_model(chosen: RunSettings, slips: float = 0.0) -> str:
    backend = ScriptedBackend(ScriptedMicroModel(slips=slips))
    return asyncio.run(run(chosen, backends={"main": backend})).run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dashboard")
    micro_model(settings(folder, name="right"))
    micro_model(settings(folder, name="wrong"), slips=1.0)
    return folder


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[TestClient]:
    with TestClient(create_app(f"sqlite:///{folder}/ace.db"), base_url="http://127.0.0.1:8450") as client:
        yield client


@pytest.fixture
def store(folder: Path) -> Iterator[RunStore]:
    with RunStore.open(f"sqlite:///{folder}/ace.db", create=False) as store:
        yield store


def read(client: TestClient, path: str) -> Page:
    response = client.get(path)
    assert response.status_code == 200, response.text
    return Page(response.text)


@pytest.mark.slow
def test_every_link_of_every_page_leads_to_a_page(client: TestClient) -> None:
    waiting, seen = ["/"], set[str]()
    while waiting:
        path = waiting.pop()
        if path in seen or path.startswith("#"):
            continue
        seen.add(path)
        page = read(client, path)
        here = path.partition("?")[0]
        waiting += [here + link if link.startswith("?") else link for link in page.links]
    kinds = {path.split("/")[3].partition("?")[0] for path in seen if path.count("/") > 2}
    assert {"playbook", "bullets", "calls"} <= kinds


def test_a_run_is_shown_with_its_bullets_and_their_history(client: TestClient, store: RunStore) -> None:
    (newest, *_) = store.list_runs()
    playbook = store.playbook(newest.id)
    page = read(client, f"/runs/{newest.id}")
    assert all(bullet.content in page.text for bullet in playbook.bullets)
    bullet = playbook.bullets[0]
    history = read(client, f"/runs/{newest.id}/bullets/{bullet.id}")
    assert bullet.content in history.text and "TAG" in history.text
    assert bullet.created.sample is not None and bullet.created.sample in history.text
    assert "key_insight" in history.text


def test_versions_are_compared(client: TestClient, store: RunStore) -> None:
    (newest, *_) = store.list_runs()
    last = store.playbook_versions(newest.id)[-1].version
    page = read(client, f"/runs/{newest.id}/diff?before=0&after={last}")
    assert f"Added ({len(store.playbook(newest.id))})" in page.text
    assert "No difference" in read(client, f"/runs/{newest.id}/diff?before={last}&after={last}").text


def test_runs_are_compared(client: TestClient, store: RunStore) -> None:
    one, two = (each.id for each in store.list_runs())
    assert "difference, points" in read(client, f"/compare?run={one}&run={two}").text
    assert "two or more" in read(client, f"/compare?run={one}").text


@pytest.mark.parametrize("path", ["/runs/nobody", "/runs/nobody/playbook", "/runs/latest/bullets/str-99999"])
def test_an_unknown_name_is_not_found(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_a_foreign_host_name_is_refused(folder: Path) -> None:
    with TestClient(create_app(f"sqlite:///{folder}/ace.db"), base_url="http://evil.example") as client:
        assert client.get("/").status_code == 403


def test_with_a_token_nothing_is_shown_without_it(folder: Path) -> None:
    with TestClient(create_app(f"sqlite:///{folder}/ace.db", token="secret"), base_url="http://box.example") as client:
        assert client.get("/").status_code == 403
        assert client.get("/?token=wrong").status_code == 403
        first = client.get("/?token=secret&page=1", follow_redirects=False)
        assert first.status_code == 303 and first.headers["location"] == "/?page=1"
        assert client.get("/").status_code == 200


def test_pages_allow_no_foreign_source(client: TestClient) -> None:
    headers = client.get("/").headers
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.slow
def test_hostile_bullets_add_no_element(tmp_path: Path) -> None:
    texts = [one.text for one in CORPUS if one.text.strip() and len(one.text) < 10_000]
    section = Section("trm", "Terms")
    hostile = apply(Playbook.empty([section]), Delta(tuple(Add("trm", text) for text in texts))).playbook
    plain = replace(hostile, bullets=tuple(replace(b, content=f"plain {b.id}") for b in hostile.bullets)).compacted()
    names = []
    for name, playbook in (("plain", plain), ("hostile", hostile)):
        write_playbook(playbook, tmp_path / f"{name}.json")
        chosen = settings(tmp_path, name=name, mode="evaluate", playbook__initial=str(tmp_path / f"{name}.json"))
        identity = micro_model(chosen)
        with TestClient(create_app(chosen.store), base_url="http://127.0.0.1") as client:
            page = read(client, f"/runs/{identity}/playbook")
        names.append(page.names)
    assert names[0] == names[1]


def test_a_running_run_announces_what_it_commits(tmp_path: Path) -> None:
    """A second run in the store changes nothing for watchers of the first; a commit does."""
    from ace.dashboard.change_feed import change_feed

    chosen = settings(tmp_path, name="watched")
    identity = micro_model(chosen)

    async def watch() -> str:
        with RunStore.open(chosen.store, create=False) as store:
            ended = threading.Event()

            async def gone() -> bool:
                return ended.is_set()

            feed = change_feed(store, identity, gone)
            first = asyncio.ensure_future(anext(feed))
            await asyncio.sleep(0.2)
            assert not first.done()
            with RunStore.open(chosen.store, create=False) as writer:
                writer.acquire(identity)
            event = await asyncio.wait_for(first, 30)
            ended.set()
            return event

    assert asyncio.run(watch()).startswith("event: change\n")
