"""The report of one or several runs as one HTML file that opens offline.

Texts of samples, models and playbooks are untrusted: Jinja2 escapes every one of them, `visible_lines` shows control
and direction characters as escapes, and the page's content security policy allows no request at all.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ace.experiments import Comparison
from ace.reporting.pages.html_environment import page_environment, read_asset
from ace.reporting.pages.report_data import BatchPoint, CurvePoint, Phase, ReportedRun
from ace.types import ROLES


def report_html(runs: Sequence[ReportedRun], comparisons: Sequence[Comparison] = ()) -> str:
    """One page for `runs`; `comparisons` are of the further runs against the first. Needs no network."""
    template = page_environment().get_template("report.html.j2")
    title = runs[0].run.id if len(runs) == 1 else f"{len(runs)} runs"
    page: str = template.render(
        title=title,
        runs=runs,
        comparisons=comparisons,
        roles=ROLES,
        charts=json.dumps([chart_data(run) for run in runs]),
        style=read_asset("uplot.min.css") + read_asset("report.css"),
        script=read_asset("uplot.iife.min.js") + read_asset("report.js"),
    )
    return page


def chart_data(run: ReportedRun) -> dict[str, Any]:
    """The numbers behind the page's plots, by plot."""
    return {
        "accuracy": _accuracy(run.curve, run.batches),
        "growth": {
            "batch": [0, *(point.index + 1 for point in run.batches)],
            "bullets": [_first_bullets(run), *(point.bullets for point in run.batches)],
        },
        "cache": {
            "batch": [point.index + 1 for point in run.batches],
            "share": [_percent(point.cache_hit_rate) for point in run.batches],
        },
        "timeline": [_phase(phase) for phase in run.phases],
    }


def _accuracy(curve: Sequence[CurvePoint], batches: Sequence[BatchPoint]) -> dict[str, Any]:
    return {
        "evaluations": [
            {
                "label": point.label,
                "split": point.split,
                "batch": point.batches,
                "percent": _percent(point.accuracy),
                "low": _percent(point.interval.low),
                "high": _percent(point.interval.high),
            }
            for point in curve
        ],
        "batches": [
            {
                "batch": point.index + 1,
                "percent": _percent(point.first_right / point.samples if point.samples else None),
            }
            for point in batches
        ],
    }


def _first_bullets(run: ReportedRun) -> int:
    """Bullets that the run began with: those of the first batch's playbook less the ones it added."""
    if not run.batches:
        return len(run.bullets)
    first = run.batches[0]
    return max(0, first.bullets - first.operations.get("ADD", 0) + first.operations.get("REMOVE", 0))


def _phase(phase: Phase) -> dict[str, Any]:
    return {"kind": phase.kind, "name": phase.name, "begin": round(phase.begin_s, 3), "end": round(phase.end_s, 3)}


def _percent(share: float | None) -> float | None:
    return None if share is None else round(share * 100, 2)
