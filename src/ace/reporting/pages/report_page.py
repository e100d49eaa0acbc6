"""The report of one or several runs as one HTML file that opens offline.

Texts of samples, models and playbooks are untrusted: Jinja2 escapes every one of them, `visible_lines` shows control
and direction characters as escapes, and the page's content security policy allows no request at all.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from ace.experiments import Comparison
from ace.reporting.pages.report_data import BatchPoint, CurvePoint, Phase, ReportedRun
from ace.reporting.text import count, moment, percent, seconds, visible_lines
from ace.types import ROLES


def report_html(runs: Sequence[ReportedRun], comparisons: Sequence[Comparison] = ()) -> str:
    """One page for `runs`; `comparisons` are of the further runs against the first. Needs no network."""
    template = _environment().get_template("report.html.j2")
    title = runs[0].run.id if len(runs) == 1 else f"{len(runs)} runs"
    page: str = template.render(
        title=title,
        runs=runs,
        comparisons=comparisons,
        roles=ROLES,
        charts=json.dumps([_charts(run) for run in runs]),
        style=_asset("uplot.min.css") + _asset("report.css"),
        script=_asset("uplot.iife.min.js") + _asset("report.js"),
    )
    return page


@cache
def _environment() -> Any:
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ace.reporting.pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": percent,
        "seconds": seconds,
        "count": count,
        "moment": moment,
        "safe_text": visible_lines,
        "points": lambda share: f"{share * 100:+.1f}",
        # JSON inside a script element: no text of the data can end the element
        "in_script": lambda text: Markup(text.replace("<", "\\u003c")),
        "asset": lambda text: Markup(text.replace("</", "<\\/")),
    }
    return environment


def _asset(name: str) -> str:
    return (files("ace.reporting.pages") / "assets" / name).read_text(encoding="utf-8")


def _charts(run: ReportedRun) -> dict[str, Any]:
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
