"""Pages of charts and Markdown tables, with the look of a report: benchmarks and leaderboards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markdown_it import MarkdownIt

from ace.reporting.pages.bar_charts import BarChart
from ace.reporting.pages.html_environment import page_environment, read_asset


@dataclass(frozen=True, slots=True)
class PageSection:
    """A part of a page: its charts, then a text in Markdown."""

    title: str
    markdown: str
    charts: tuple[BarChart, ...] = ()


def table_page(title: str, subtitle: str, sections: Sequence[PageSection]) -> str:
    """Render a page that needs no network. HTML in the sections' texts is escaped."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    page: str = (
        page_environment()
        .get_template("table_page.html.j2")
        .render(
            title=title,
            subtitle=subtitle,
            sections=[(section, _scrollable(markdown.render(section.markdown))) for section in sections],
            style=read_asset("report.css") + read_asset("bar_charts.css"),
            script=read_asset("report.js"),
        )
    )
    return page


def _scrollable(html: str) -> str:
    """Let wide tables scroll by themselves, also by keyboard, and be sorted by their headings."""
    opening = '<div class="scroll" tabindex="0" role="region" aria-label="Table"><table class="sortable">'
    return html.replace("<table>", opening).replace("</table>", "</table></div>")
