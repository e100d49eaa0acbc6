"""All benchmarks on one page: as HTML with charts that need no network, and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from ace.bench.hardware.measured_machine import Machine
from ace.bench.registry import Part
from ace.bench.report import Report
from ace.reporting.pages.bar_charts import BarChart, benchmark_chart
from ace.reporting.pages.table_page import PageSection, table_page
from ace.reporting.text import visible_lines


def benchmarks_markdown(parts: Sequence[Part], machine: Machine) -> str:
    """Each part's tables under its title."""
    sections = [f"## {part.benchmark.title}\n\n{_result(part)}" for part in parts]
    return "\n\n".join([f"# Benchmarks\n\n{machine}", *sections]) + "\n"


def benchmarks_html(parts: Sequence[Part], machine: Machine) -> str:
    """One page with the charts and the tables of each part."""
    sections = [PageSection(part.benchmark.title, _result(part), _charts(part.report)) for part in parts]
    return table_page("Benchmarks", str(machine), sections)


def _charts(report: Report | None) -> tuple[BarChart, ...]:
    return () if report is None else tuple(map(benchmark_chart, report.charts()))


def _result(part: Part) -> str:
    if part.report is None:
        return f"Failed after {part.seconds:.0f} s: {visible_lines(part.error or '')}"
    return f"{part.report.to_markdown().strip()}\n\nMeasured in {part.seconds:.0f} s."
