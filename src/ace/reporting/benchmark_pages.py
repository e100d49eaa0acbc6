"""All benchmarks on one page: as HTML with charts that need no network, and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from markdown_it import MarkdownIt

from ace.bench.hardware.measured_machine import Machine
from ace.bench.registry import Part
from ace.bench.report import Chart, Report
from ace.errors import ProviderMissingError
from ace.reporting.plots import bars
from ace.reporting.text import visible_lines

_STYLE = (
    "body{font-family:sans-serif;max-width:70em;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse;margin:1em 0}td,th{border:1px solid #ccc;padding:.3em .6em;text-align:left}"
)


def benchmarks_markdown(parts: Sequence[Part], machine: Machine) -> str:
    """Each part's tables under its title."""
    sections = [f"## {part.benchmark.title}\n\n{_result(part)}" for part in parts]
    return "\n\n".join([f"# Benchmarks\n\n{machine}", *sections]) + "\n"


def benchmarks_html(parts: Sequence[Part], machine: Machine) -> str:
    """One page with everything in it. Without plotly it has the tables alone, and says so."""
    body = [f"<h1>Benchmarks</h1><p>{escape(str(machine))}</p>"]
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    script = True
    for part in parts:
        body.append(f"<h2>{escape(part.benchmark.title)}</h2>")
        for chart in _charts(part.report):
            try:
                body.append(bars(chart, script=script))
                script = False
            except ProviderMissingError as error:
                body.append(f"<p>No chart: {escape(error.message)} ({escape(error.hint or '')}).</p>")
        body.append(markdown.render(_result(part)))
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Benchmarks</title>'
        f"<style>{_STYLE}</style></head><body>{''.join(body)}</body></html>\n"
    )


def _charts(report: Report | None) -> tuple[Chart, ...]:
    return () if report is None else report.charts()


def _result(part: Part) -> str:
    if part.report is None:
        return f"Failed after {part.seconds:.0f} s: {visible_lines(part.error or '')}"
    return f"{part.report.to_markdown().strip()}\n\nMeasured in {part.seconds:.0f} s."
