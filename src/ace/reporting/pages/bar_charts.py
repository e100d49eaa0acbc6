"""Bar charts of HTML pages, drawn by the style sheet alone: `templates/bar_charts.html.j2`."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ace.bench.report import Chart
from ace.experiments import Leaderboard, LeaderboardRow
from ace.reporting.text import percent


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar. `length`, `interval` and `dots` are percents of the chart's width; `text` is the value as people read it.

    `series` counts from 0: bars of one series have one colour.
    """

    series: int
    length: float
    text: str
    interval: tuple[float, float] | None = None
    dots: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class BarChart:
    """A chart with its bars by row. `legend` names the series where there is more than one."""

    title: str
    axis: str
    rows: tuple[tuple[str, tuple[Bar, ...]], ...]
    legend: tuple[str, ...] = ()


def benchmark_chart(chart: Chart) -> BarChart:
    """Lay out the chart of a benchmark: its longest bar is as wide as the chart."""
    finite = [value for values in chart.series.values() for value in values if math.isfinite(value)]
    longest = max(finite, default=0.0) or 1.0
    rows = tuple(
        (name, tuple(_bar(series, values[row], longest) for series, values in enumerate(chart.series.values())))
        for row, name in enumerate(chart.names)
    )
    return BarChart(chart.title, chart.axis, rows, tuple(chart.series) if len(chart.series) > 1 else ())


def leaderboard_chart(table: Leaderboard) -> BarChart:
    """Lay out the accuracy of each row, with its interval and a dot for each seed, from 0 to 100%."""
    rows = tuple((row.name, (_accuracy_bar(row),)) for row in table.rows)
    axis = "accuracy on the test split; the line is the 95% interval, a dot is a seed"
    return BarChart("Accuracy", axis, rows)


def _bar(series: int, value: float, longest: float) -> Bar:
    if not math.isfinite(value):
        return Bar(series, 0.0, "–")
    return Bar(series, max(0.0, 100 * value / longest), f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}")


def _accuracy_bar(row: LeaderboardRow) -> Bar:
    interval = (100 * row.interval.low, 100 * row.interval.high)
    return Bar(0, 100 * row.accuracy, percent(row.accuracy), interval, tuple(100 * value for value in row.by_seed))
