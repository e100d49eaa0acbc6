"""Rendering of a page of the dashboard."""

from __future__ import annotations

from typing import Any

from ace.reporting.pages.html_environment import page_environment


def render_page(template: str, **values: Any) -> str:
    """Render `template` with the report's filters and macros; every text is escaped."""
    page: str = page_environment("ace.dashboard").get_template(template).render(**values)
    return page
