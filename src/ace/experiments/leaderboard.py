"""Leaderboard of a grid: each row over its seeds, with intervals, compared with the first row."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ace.errors import DataError
from ace.experiments.grid_runner import CompletedGridRun
from ace.experiments.outcomes import EvaluatedRun, evaluated, right
from ace.experiments.statistics import Interval, PairedTest, holm, mean_interval, paired_test
from ace.store import RunStore


@dataclass(frozen=True, slots=True)
class LeaderboardRow:
    """One row. `accuracy` is the mean over all samples of all seeds, `by_seed` that of each seed.

    A sample that several seeds evaluated counts once, with the mean of its grades: the interval is over samples, and
    says nothing of the spread between seeds, which `by_seed` shows. `failed` counts failed test samples over all seeds,
    which are not right; `against_first` is None for the first row; `p_corrected` is Holm's over the rows. Calls, tokens
    and seconds are means of a run, evaluations included.
    """

    name: str
    varied: tuple[tuple[str, Any], ...]
    runs: tuple[str, ...]
    samples: int
    accuracy: float
    interval: Interval
    by_seed: tuple[float, ...]
    failed: int
    against_first: PairedTest | None
    p_corrected: float | None
    calls: float
    tokens: float
    adapt_s: float
    bullets: float
    reused: int


@dataclass(frozen=True, slots=True)
class Leaderboard:
    """The rows in the order of the grid, and the seeds of each."""

    rows: tuple[LeaderboardRow, ...]
    seeds: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def leaderboard(runs: Sequence[CompletedGridRun]) -> Leaderboard:
    """Rank `runs`. DataError where a row has other samples than the first, or none."""
    rows: dict[str, list[CompletedGridRun]] = {}
    for run in runs:
        rows.setdefault(run.cell.row, []).append(run)
    scores = {name: _by_sample(cells) for name, cells in rows.items()}
    first, *others = scores.items()
    tests = [_against(first[1], name, other) for name, other in others]
    corrected = holm([test.p for test in tests])
    beside: list[tuple[PairedTest | None, float | None]] = [(None, None), *zip(tests, corrected, strict=True)]
    table = tuple(_row(cells, scores[name], *pair) for (name, cells), pair in zip(rows.items(), beside, strict=True))
    return Leaderboard(table, tuple(dict.fromkeys(run.cell.seed for run in runs)))


def _against(first: Mapping[str, float], name: str, other: Mapping[str, float]) -> PairedTest:
    if first.keys() != other.keys():
        raise DataError(
            f"{name}: its test samples are not those of the first row",
            hint="do not vary what decides the samples, such as task.limit or task.split",
        )
    return paired_test(list(first.values()), [other[sample] for sample in first])


def _by_sample(cells: Sequence[CompletedGridRun]) -> dict[str, float]:
    """The mean over the seeds of each sample's right answers."""
    grades: defaultdict[str, list[float]] = defaultdict(list)
    for run in cells:
        for sample, outcome in _evaluated(run).outcomes.items():
            grades[sample].append(right(outcome))
    if not grades:
        raise DataError("the test split is empty: there is nothing to compare by")
    return {sample: statistics.fmean(values) for sample, values in grades.items()}


def _evaluated(run: CompletedGridRun) -> EvaluatedRun:
    with RunStore.open(run.cell.settings.store, create=False) as store:
        return evaluated(store, run.run)


def _row(
    cells: Sequence[CompletedGridRun],
    scores: Mapping[str, float],
    test: PairedTest | None,
    p_corrected: float | None,
) -> LeaderboardRow:
    summaries = [run.summary for run in cells]
    return LeaderboardRow(
        name=cells[0].cell.row,
        varied=cells[0].cell.varied,
        runs=tuple(run.run for run in cells),
        samples=len(scores),
        accuracy=statistics.fmean(scores.values()),
        interval=mean_interval(list(scores.values())),
        by_seed=tuple(summary.accuracy_after or 0.0 for summary in summaries),
        failed=sum(_evaluated(run).failed for run in cells),
        against_first=test,
        p_corrected=p_corrected,
        calls=statistics.fmean(sum(summary.calls.values()) for summary in summaries),
        tokens=statistics.fmean(
            sum(used.prompt + used.completion for used in summary.tokens.values()) for summary in summaries
        ),
        adapt_s=statistics.fmean(summary.adapt_s for summary in summaries),
        bullets=statistics.fmean(summary.playbook_bullets for summary in summaries),
        reused=sum(run.reused for run in cells),
    )
