"""Experiments over runs: grids of settings, comparisons, and what each bullet of a playbook is worth."""

from ace.experiments.attribution import BulletCredit, Credit, measure_credit
from ace.experiments.bisect import History, trace_sample
from ace.experiments.comparison import Comparison, compare_evaluations
from ace.experiments.grid import Cell, grid, parse_vary
from ace.experiments.grid_runner import CellRun, run_cells
from ace.experiments.leaderboard import Standing, Standings, standings

__all__ = [
    "BulletCredit",
    "Cell",
    "CellRun",
    "Comparison",
    "Credit",
    "History",
    "Standing",
    "Standings",
    "compare_evaluations",
    "grid",
    "measure_credit",
    "parse_vary",
    "run_cells",
    "standings",
    "trace_sample",
]
