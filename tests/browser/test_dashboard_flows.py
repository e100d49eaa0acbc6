"""The dashboard as people use it: from the list of runs to a bullet, live, by keyboard, with hostile texts."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from browser_checks import run_in_thread, serious_violations
from hostile_corpus import CORPUS
from micro_runs import micro_model, settings

from ace.engine import run
from ace.errors import InterruptedRunError
from ace.inference import ScriptedBackend
from ace.playbook import Add, Delta, Playbook, Section, apply, write_playbook
from ace.store import RunStore
from ace.types import Completion, Request

pytest.importorskip("fastapi", reason="fastapi is not installed: make test-browser")
pytest.importorskip("axe_playwright_python", reason="playwright and axe are not installed: make test-browser")

from playwright.sync_api import Browser, Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


class Slow(ScriptedBackend):
    """Takes a while for each answer, as a real model does."""

    async def complete(self, request: Request) -> Completion:
        await asyncio.sleep(0.15)
        return await super().complete(request)


def newest(store: RunStore, name: str) -> str:
    return next(each.id for each in store.list_runs() if each.name == name)


def test_from_the_list_of_runs_to_a_bullet_and_the_prompt_of_a_call(page: Page, address: str, store: RunStore) -> None:
    identity = newest(store, "right")
    bullet = store.playbook(identity).bullets[0]
    page.goto(address)
    page.get_by_role("link", name=identity).click()
    expect(page.get_by_role("heading", name="Learning curve")).to_be_visible()
    expect(page.locator(".chart canvas").first).to_be_visible()
    page.get_by_role("link", name="Playbook versions").click()
    rows = page.locator("#bullets tbody tr:visible")
    expect(rows).to_have_count(len(store.playbook(identity)))
    page.get_by_label("Search bullets").fill(bullet.content[:12])
    expect(rows).to_have_count(sum(bullet.content[:12] in one.content for one in store.playbook(identity).bullets))
    page.get_by_role("link", name=bullet.id).click()
    expect(page.get_by_role("heading", name="Reflections that led to it")).to_be_visible()
    expect(page.get_by_role("cell", name="TAG", exact=True).first).to_be_visible()
    page.locator("section, main").get_by_role("link", name="Sample ").first.click()
    expect(page.get_by_role("heading", name="reflector call")).to_be_visible()
    expect(page.locator(".computed").last).to_be_visible()


def test_two_versions_are_diffed(page: Page, address: str, store: RunStore) -> None:
    identity = newest(store, "right")
    page.goto(f"{address}/runs/{identity}/playbook")
    page.locator("select[name=before]").select_option("0")
    page.get_by_role("button", name="Show the difference").click()
    expect(page.get_by_role("heading", name=f"Added ({len(store.playbook(identity))})")).to_be_visible()
    page.locator("select[name=after]").select_option("0")
    page.get_by_role("button", name="Show the difference").click()
    expect(page.get_by_text("No difference.")).to_be_visible()


def test_two_runs_are_compared(page: Page, address: str) -> None:
    page.goto(address)
    for box in page.get_by_role("checkbox").all()[-2:]:
        box.check()
    page.get_by_role("button", name="Compare the chosen runs").click()
    expect(page.get_by_role("columnheader", name="difference, points")).to_be_visible()
    expect(page.locator("main tbody tr")).to_have_count(2)


def test_tables_are_sorted_by_keyboard(page: Page, address: str) -> None:
    page.goto(address)
    head = page.locator("#runs th").nth(1)
    head.get_by_role("button").focus()
    page.keyboard.press("Enter")
    expect(head).to_have_attribute("aria-sort", "ascending")
    names = page.locator("#runs tbody tr td:nth-child(2)").all_inner_texts()
    assert names == sorted(names)
    page.keyboard.press("Enter")
    expect(head).to_have_attribute("aria-sort", "descending")


def test_a_running_run_is_followed_paused_continued_and_stopped(page: Page, address: str, store_url: str) -> None:
    folder = Path(store_url.removeprefix("sqlite:///")).parent
    chosen = settings(folder, name="live", adaptation__epochs=50, evaluation__before=False)
    ends: list[type[BaseException] | None] = []

    def go() -> None:
        try:
            asyncio.run(run(chosen, backends={"main": Slow(micro_model)}))
            ends.append(None)
        except InterruptedRunError:
            ends.append(InterruptedRunError)

    thread = threading.Thread(target=go)
    thread.start()
    try:
        page.goto(address)
        link = page.get_by_role("link", name="-live-")
        while not link.count():
            page.reload()
        link.click()
        batches = page.locator('[aria-label="Batches"] tbody tr')
        expect(batches).not_to_have_count(0, timeout=30_000)
        before = batches.count()
        expect(batches.nth(before)).to_be_visible(timeout=30_000)  # a further batch, without a reload
        page.get_by_role("button", name="Pause").click()
        expect(page.get_by_text("Paused since")).to_be_visible(timeout=15_000)
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_role("button", name="Pause")).to_be_visible(timeout=15_000)
        page.get_by_role("button", name="Stop").click()
        expect(page.get_by_text("It ended before its work was done.")).to_be_visible(timeout=15_000)
        expect(page.get_by_text("ace resume")).to_be_visible()
    finally:
        thread.join(60)
    assert ends == [InterruptedRunError]


def test_a_bullet_is_edited_quarantined_and_released(page: Page, address: str, store: RunStore) -> None:
    identity = newest(store, "wrong") if len(store.playbook(newest(store, "wrong"))) else newest(store, "right")
    bullet = store.playbook(identity).bullets[-1].id
    page.goto(f"{address}/runs/{identity}/bullets/{bullet}")
    page.get_by_label("Text").fill("edited <b>by hand</b>")
    page.get_by_label("Reason").fill("to the point")
    expect(page.get_by_label("Your name")).to_have_value("Ada")
    page.get_by_role("button", name="Save as a new version").click()
    expect(page.locator("main > pre").first).to_have_text("edited <b>by hand</b>")
    page.get_by_role("button", name="Quarantine").click()
    expect(page.get_by_text("It is quarantined")).to_be_visible()
    page.get_by_role("button", name="Release into the playbook").click()
    expect(page.get_by_role("button", name="Quarantine")).to_be_visible()
    operations = page.locator('[aria-label="Changes"] tbody tr td:nth-child(4)').all_inner_texts()
    assert operations[-3:] == ["UPDATE", "WITHHOLD", "RELEASE"]


def test_hostile_texts_change_nothing(page: Page, address: str, store_url: str, tmp_path: Path) -> None:
    """No dialog, no request to elsewhere and no further element, wherever such a text stands."""
    texts = [one.text for one in CORPUS if one.text.strip() and len(one.text) < 5_000]
    playbook = apply(Playbook.empty([Section("trm", "Terms")]), Delta(tuple(Add("trm", text) for text in texts)))
    write_playbook(playbook.playbook, tmp_path / "hostile.json")
    folder = Path(store_url.removeprefix("sqlite:///")).parent
    chosen = settings(
        folder, name="<script>alert(1)</script>", mode="evaluate", playbook__initial=str(tmp_path / "hostile.json")
    )
    identity = run_in_thread(chosen, ScriptedBackend(micro_model))
    dialogs: list[str] = []
    foreign: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    page.on("request", lambda sent: None if sent.url.startswith((address, "data:")) else foreign.append(sent.url))
    for path in ("", "/playbook", "/calls", f"/bullets/{playbook.playbook.bullets[0].id}"):
        page.goto(f"{address}/runs/{identity}{path}")
        assert page.locator("main img, main iframe, main script, main svg, main style").count() == 0
    page.goto(f"{address}/runs/{identity}/playbook")
    expect(page.locator("#bullets tbody tr")).to_have_count(len(playbook.playbook))
    assert (dialogs, foreign) == ([], [])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_serious_violation_of_accessibility(
    browser: Browser, address: str, store: RunStore, scheme: str
) -> None:
    identity = newest(store, "right")
    call = store.calls(identity, batch=0)[0].digest
    other = newest(store, "wrong")
    bullet = store.playbook(identity).bullets[0].id
    context = browser.new_context(color_scheme="dark" if scheme == "dark" else "light")
    page = context.new_page()
    found = {}
    for path in (
        "/",
        f"/runs/{identity}",
        f"/runs/{identity}/playbook",
        f"/runs/{identity}/bullets/{bullet}",
        f"/runs/{identity}/diff?before=0&after=1",
        f"/runs/{identity}/calls",
        f"/runs/{identity}/calls/{call}",
        f"/compare?run={identity}&run={other}",
        "/runs/nobody",
    ):
        page.goto(address + path)
        if violations := serious_violations(page):
            found[path] = violations
    context.close()
    assert found == {}
