"""The page of a leaderboard: a chart of the accuracies, and the table."""

from __future__ import annotations

from ace.experiments import Leaderboard
from ace.reporting.experiment_tables import leaderboard_markdown
from ace.reporting.pages.bar_charts import leaderboard_chart
from ace.reporting.pages.table_page import PageSection, table_page


def leaderboard_html(table: Leaderboard, name: str) -> str:
    """One page for the experiment `name`. Needs no network."""
    section = PageSection("Settings compared", leaderboard_markdown(table), (leaderboard_chart(table),))
    return table_page("Leaderboard", name, [section])
