"""Experiments over runs: grids of settings, comparisons, and what each bullet of a playbook is worth."""

from ace.experiments.campaign import CellRun, run_cells
from ace.experiments.cells import Cell, grid, parse_vary
from ace.experiments.compare import Comparison, compare_evaluations
from ace.experiments.credit import BulletCredit, Credit, measure_credit
from ace.experiments.history import History, trace_sample
from ace.experiments.standings import Standing, Standings, standings

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
