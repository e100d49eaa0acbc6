"""What the browser tests check of any page."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ace.config import RunSettings
from ace.engine import run
from ace.inference import Backend
from ace.store import RunStore

if TYPE_CHECKING:
    from playwright.sync_api import Page


def serious_violations(page: Page) -> list[str]:
    """What axe-core finds on the page that is serious or critical, with the first element of each."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {one['help']}: {_first_element(one)}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


def _first_element(violation: dict[str, Any]) -> str:
    node = violation["nodes"][0]
    return f"{node['html'][:200]}: {node.get('failureSummary', '')[:200]}"


def run_in_thread(settings: RunSettings, backend: Backend) -> str:
    """Do a run and return its id. Playwright has an event loop on the main thread."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(lambda: asyncio.run(run(settings, backends={"main": backend})).run).result()


def write_report(url: str, folder: Path) -> Path:
    """The report of all runs of the store, as a file."""
    from ace.experiments import compare_evaluations
    from ace.experiments.outcomes import evaluated
    from ace.reporting.pages.report_data import collect_run
    from ace.reporting.pages.report_page import report_html

    with RunStore.open(url, create=False) as store:
        runs = [each.id for each in store.list_runs()]
        first, *rest = (evaluated(store, each) for each in runs[-2:])
        page = report_html([collect_run(store, each) for each in runs[-2:]], compare_evaluations(first, rest))
    path = folder / "report.html"
    path.write_text(page, encoding="utf-8")
    return path
