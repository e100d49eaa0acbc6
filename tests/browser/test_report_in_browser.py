"""The report as a file in a browser: plots, search, no request, no violation of accessibility."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser_checks import serious_violations, write_report

pytest.importorskip("fastapi", reason="fastapi is not installed: make test-browser")
pytest.importorskip("axe_playwright_python", reason="playwright and axe are not installed: make test-browser")

from playwright.sync_api import Browser, expect

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_report_opens_offline_and_is_accessible(
    browser: Browser, store_url: str, tmp_path: Path, scheme: str
) -> None:
    path = write_report(store_url, tmp_path)
    context = browser.new_context(color_scheme="dark" if scheme == "dark" else "light", offline=True)
    page = context.new_page()
    requests: list[str] = []
    page.on("request", lambda sent: requests.append(sent.url))
    page.goto(path.as_uri())
    expect(page.locator(".chart canvas").first).to_be_visible()
    search = page.get_by_label("Search bullets").last
    rows = page.locator("table[id^=bullets-]").last.locator("tbody tr:visible")
    search.fill("no bullet says this")
    expect(rows).to_have_count(0)
    search.fill("")
    expect(rows).not_to_have_count(0)
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    assert serious_violations(page) == []
    context.close()


def test_a_report_fits_a_phone(browser: Browser, store_url: str, tmp_path: Path) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(write_report(store_url, tmp_path).as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()
