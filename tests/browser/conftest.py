"""A browser, and a dashboard with runs to look at. Debian's Chromium, or whatever `ACE_CHROMIUM` names."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from browser_checks import run_in_thread
from micro_runs import settings

from ace.inference import ScriptedBackend
from ace.store import RunStore
from ace.tasks.micro.scripted_model import ScriptedMicroModel

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


def chromium() -> str | None:
    names = (os.environ.get("ACE_CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if name and (found := shutil.which(name))), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Closed with each module: Playwright has an event loop on this thread, beside which no other can run."""
    from playwright.sync_api import sync_playwright

    path = chromium()
    if path is None:
        pytest.skip("no Chromium: apt-get install chromium, or name one with ACE_CHROMIUM")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def store_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two runs that are done, one that learned and one that slipped."""
    folder = tmp_path_factory.mktemp("browser")
    for name, slips in (("right", 0.0), ("wrong", 0.8)):
        backend = ScriptedBackend(ScriptedMicroModel(slips=slips))
        run_in_thread(settings(folder, name=name), backend)
    return f"sqlite:///{folder}/ace.db"


@pytest.fixture
def store(store_url: str) -> Iterator[RunStore]:
    with RunStore.open(store_url, create=False) as opened:
        yield opened


@pytest.fixture(scope="session")
def address(store_url: str) -> Iterator[str]:
    """The dashboard, served by a thread of this process."""
    import uvicorn

    from ace.dashboard import create_app

    config = uvicorn.Config(create_app(store_url, author="Ada"), host="127.0.0.1", port=0, log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.05)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = server.force_exit = True
    thread.join(10)


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page in a context of its own. A script error of a page, or a request to elsewhere, fails the test."""
    context = browser.new_context()
    opened = context.new_page()
    errors: list[Any] = []
    opened.on("pageerror", lambda error: errors.append(error))
    requests: list[str] = []
    opened.on("request", lambda request: requests.append(request.url))
    yield opened
    context.close()
    assert errors == []
    assert [url for url in requests if not url.startswith(("http://127.0.0.1:", "file:", "data:"))] == []
