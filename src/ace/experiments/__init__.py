"""Experiments over runs: grids of settings, comparisons, and the attribution of bullets."""

from ace.experiments.attribution import BulletCredit, Credit, measure_credit
from ace.experiments.bisect import History, trace_sample
from ace.experiments.comparison import Comparison, compare_evaluations
from ace.experiments.grid import GridRun, grid, parse_vary
from ace.experiments.grid_runner import CompletedGridRun, RunElsewhere, run_grid
from ace.experiments.leaderboard import Leaderboard, LeaderboardRow, leaderboard
from ace.experiments.outcomes import EvaluatedRun, evaluated
from ace.experiments.sharded_growth import ShardedGrowth, ShardRound, grow_in_shards

__all__ = [
    "BulletCredit",
    "Comparison",
    "CompletedGridRun",
    "Credit",
    "EvaluatedRun",
    "GridRun",
    "History",
    "Leaderboard",
    "LeaderboardRow",
    "RunElsewhere",
    "ShardRound",
    "ShardedGrowth",
    "compare_evaluations",
    "evaluated",
    "grid",
    "grow_in_shards",
    "leaderboard",
    "measure_credit",
    "parse_vary",
    "run_grid",
    "trace_sample",
]
