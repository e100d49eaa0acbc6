"""Plots as HTML pages that need nothing else: no server, no network."""

from __future__ import annotations

from html import escape
from typing import Any

from ace._util.extras import missing_package
from ace._util.install_commands import install_command
from ace.bench.report import Chart
from ace.experiments import Leaderboard
from ace.reporting.text import visible


def leaderboard_plot(table: Leaderboard, title: str) -> str:
    """A page with one bar a row, its 95% interval, and a dot for each seed. ProviderMissingError without plotly."""
    plotly = _plotly()
    names = [_label(row.name) for row in table.rows]
    percents = [row.accuracy * 100 for row in table.rows]
    figure = plotly.Figure()
    figure.add_bar(
        x=names,
        y=percents,
        name="mean",
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [row.interval.high * 100 - value for row, value in zip(table.rows, percents, strict=True)],
            "arrayminus": [value - row.interval.low * 100 for row, value in zip(table.rows, percents, strict=True)],
        },
    )
    figure.add_scatter(
        x=[name for name, row in zip(names, table.rows, strict=True) for _ in row.by_seed],
        y=[value * 100 for row in table.rows for value in row.by_seed],
        mode="markers",
        name="seed",
    )
    figure.update_layout(
        title=_label(title), yaxis_title="accuracy on the test split, %", yaxis_range=[0, 105], template="plotly_white"
    )
    page: str = figure.to_html(include_plotlyjs=True, full_html=True)
    return page


def bars(chart: Chart, *, script: bool) -> str:
    """A part of a page; `script` brings plotly itself along, once a page. ProviderMissingError without plotly."""
    figure = _plotly().Figure()
    for name, values in chart.series.items():
        figure.add_bar(y=[_label(each) for each in chart.names], x=values, name=_label(name), orientation="h")
    figure.update_layout(
        title=_label(chart.title),
        xaxis_title=_label(chart.axis),
        yaxis={"autorange": "reversed", "automargin": True},
        showlegend=len(chart.series) > 1,
        height=160 + 45 * len(chart.names),
        template="plotly_white",
    )
    part: str = figure.to_html(include_plotlyjs=script, full_html=False)
    return part


def _plotly() -> Any:
    try:
        import plotly.graph_objects as plotly
    except ImportError as error:
        raise missing_package("plots need", "plotly", provider="plots", command=install_command("plots")) from error
    return plotly


def _label(text: str) -> str:
    """Plotly reads some HTML in its texts."""
    return escape(visible(text))
