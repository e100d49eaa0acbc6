"""Pictures of `docs/scale.md`: measured points on simulated lines, from the results of `python -m benchmarks plan`.

python -m benchmarks.scale.plan_curves benchmarks/results/...-plan-2-cores.json docs/images/plan-micro.svg
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLOURS = ("#0b62c4", "#a2490c", "#1a7f37", "#57606a")
"""Those of the report's lines, on its paper."""
INK, MUTED, LINE = "#1b1f24", "#57606a", "#d0d7de"
STYLE = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "ace",  # the same results give the same file
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": LINE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "grid.color": LINE,
    "grid.alpha": 0.5,
}


def draw_plan(result: Mapping[str, Any], path: Path) -> None:
    """Draw time by samples, by batch and by engines: simulated lines, and the runs that were measured as points."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10.5, 3.4), layout="constrained")
        by_samples, by_batch, by_engines = figure.subplots(1, 3)
        curves, rows = result["curves"], result["rows"]
        batches = sorted({curve["batch"] for curve in curves["samples"]})
        colours = dict(zip(batches, COLOURS, strict=False))
        for batch in batches:
            _line(by_samples, curves["samples"], "samples", f"batch {batch}", colours[batch], batch=batch)
            _points(by_samples, [row for row in rows if row["batch"] == batch], "samples", colours[batch])
        sizes = sorted({curve["samples"] for curve in curves["batch"]})
        for samples, colour in zip(sizes, COLOURS, strict=False):
            _line(by_batch, curves["batch"], "batch", f"{samples} samples", colour, samples=samples)
            _points(by_batch, [row for row in rows if row["samples"] == samples], "batch", colour)
        for batch, colour in zip(sorted({curve["batch"] for curve in curves["engines"]}), COLOURS, strict=False):
            _line(by_engines, curves["engines"], "engines", f"batch {batch}", colour, batch=batch)
        unit = "adaptation, s"
        _label(by_samples, "Samples", "samples", unit)
        _label(by_batch, "Batch size", "samples of a batch", unit)
        _label(by_engines, f"Engines ({curves['engines'][0]['samples']:,} samples)", "engines", unit)
        figure.savefig(path, format="svg", metadata={"Date": None, "Title": "Planned and measured time"})


def _line(axes: Axes, curve: Sequence[Mapping[str, Any]], x: str, label: str, colour: str, **fixed: int) -> None:
    """The simulated points in which `fixed` holds, as a line."""
    chosen = [point for point in curve if all(point[key] == value for key, value in fixed.items())]
    axes.plot([p[x] for p in chosen], [p["seconds"] for p in chosen], color=colour, linewidth=1.6, label=label)


def _points(axes: Axes, rows: Sequence[Mapping[str, Any]], x: str, colour: str) -> None:
    axes.plot([row[x] for row in rows], [row["measured_s"] for row in rows], "o", color=colour, markersize=6)


def _label(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set_xscale("log", base=2)
    if x != "engines":
        axes.set_yscale("log")
        axes.minorticks_off()
    else:
        axes.set_ylim(bottom=0)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.yaxis.set_major_formatter("{x:,g}")
    axes.set(title=title, xlabel=x, ylabel=y)
    axes.grid(visible=True)
    axes.legend(frameon=False, fontsize=8)


def main() -> None:
    """Draw one result into one file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("result", type=Path)
    parser.add_argument("picture", type=Path)
    options = parser.parse_args()
    draw_plan(json.loads(options.result.read_text(encoding="utf-8")), options.picture)


if __name__ == "__main__":
    main()
