"""The report as Markdown, as CSV and as a PNG of the learning curves."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from itertools import cycle
from typing import Any

from ace._util.install_commands import install_command
from ace.errors import ProviderMissingError
from ace.experiments import Comparison
from ace.reporting.bullet_credit import credit_text
from ace.reporting.pages.report_data import ReportedRun
from ace.reporting.text import by_type, percent, seconds, visible
from ace.types import ROLES

_COLUMNS = (
    "run",
    "evaluation",
    "split",
    "after_batch",
    "playbook",
    "n",
    "correct",
    "failed",
    "accuracy",
    "low",
    "high",
)
_FORMULA = ("=", "+", "-", "@", "\t")


def report_markdown(runs: Sequence[ReportedRun], comparisons: Sequence[Comparison] = ()) -> str:
    """The report's tables, for a README, an issue or a pull request."""
    parts = ["# ACE report"]
    if comparisons:
        rows = [
            (
                one.b.run,
                percent(one.b.mean),
                f"{one.test.difference * 100:+.1f}",
                f"{one.test.interval.low * 100:+.1f} to {one.test.interval.high * 100:+.1f}",
                f"{one.p_corrected:.3g}",
            )
            for one in comparisons
        ]
        first = comparisons[0].a
        parts += [
            f"Against {_inline(first.run)} ({percent(first.mean)}):",
            _table(("run", "accuracy", "difference, points", "95% interval", "p"), rows),
        ]
    for run in runs:
        parts += _run_markdown(run)
    return "\n\n".join(parts) + "\n"


def report_csv(runs: Sequence[ReportedRun]) -> str:
    """One row an evaluation. A text that a spreadsheet would read as a formula begins with an apostrophe."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for run in runs:
        for point in run.curve:
            texts = [_spreadsheet_text(visible(text)) for text in (run.run.id, point.label, point.split)]
            bounds = (point.accuracy, point.interval.low, point.interval.high)
            numbers = (point.batches, point.playbook_version, point.n, point.correct, point.failed)
            writer.writerow([*texts, *numbers, *(f"{bound:.4f}" for bound in bounds)])
    return buffer.getvalue()


def report_png(runs: Sequence[ReportedRun]) -> bytes:
    """The learning curves with their 95% intervals, and the share of right first answers of each training batch.

    ProviderMissingError without matplotlib.
    """
    figure_class = _matplotlib_figure()
    figure = figure_class(figsize=(8, 4.5), dpi=150, layout="constrained")
    axes = figure.subplots()
    several = len(runs) > 1
    for number, run in enumerate(runs):
        name = f"{run.run.id}, " if several else ""
        by_split: dict[str, list[Any]] = {}
        for point in run.curve:
            by_split.setdefault(point.split, []).append(point)
        for line, (split, points) in zip(cycle(("-", "--", "-.")), by_split.items(), strict=False):
            batches = [point.batches for point in points]
            accuracy = [point.accuracy * 100 for point in points]
            below = [(point.accuracy - point.interval.low) * 100 for point in points]
            above = [(point.interval.high - point.accuracy) * 100 for point in points]
            label = visible(f"{name}{split}").replace("$", r"\$")
            style = {"color": f"C{number}", "linestyle": line} if several else {}
            axes.errorbar(batches, accuracy, yerr=(below, above), marker="o", capsize=3, label=label, **style)
        if run.batches:
            numbers = [point.index + 1 for point in run.batches]
            shares = [100 * point.first_right / point.samples for point in run.batches]
            label = visible(f"{name}first answers, by batch").replace("$", r"\$")
            axes.plot(numbers, shares, ":", marker=".", color=f"C{number}" if several else "gray", label=label)
    axes.set(xlabel="batches", ylabel="right answers, %", ylim=(-2, 102))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_legend_handles_labels()[0]:
        axes.legend()
    image = io.BytesIO()
    figure.savefig(image, format="png")
    return image.getvalue()


def _run_markdown(run: ReportedRun) -> list[str]:
    evaluations = [
        (
            point.label,
            point.split,
            f"v{point.playbook_version}",
            f"{point.correct}/{point.n}",
            percent(point.accuracy),
            f"{percent(point.interval.low)} to {percent(point.interval.high)}",
        )
        for point in run.curve
    ]
    batches = [
        (
            str(point.index + 1),
            f"{point.first_right}/{point.samples}",
            str(point.corrected),
            str(point.bullets),
            by_type(point.operations),
            percent(point.cache_hit_rate),
        )
        for point in run.batches
    ]
    usage = [
        (
            role,
            str(used.calls),
            str(used.usage.prompt_tokens),
            percent(used.usage.cached_tokens / used.usage.prompt_tokens if used.usage.prompt_tokens else None),
            str(used.usage.completion_tokens),
            seconds(used.usage.total_s / used.calls if used.calls else None),
            str(used.parse_failures),
        )
        for role, used in ((role, run.usage[role]) for role in ROLES if role in run.usage)
    ]
    bullets = [
        (
            bullet.id,
            bullet.content,
            str(bullet.counters.helpful),
            str(bullet.counters.harmful),
            *((credit_text(run.credit, bullet.id),) if run.credit else ()),
        )
        for bullet in run.bullets
    ]
    credit = ("credit, points",) if run.credit else ()
    parts = [
        f"## {_inline(run.run.id)}",
        _table(("evaluation", "split", "playbook", "right", "accuracy", "95% interval"), evaluations),
        _table(("batch", "right at first", "after reflection", "bullets", "operations", "cached"), batches),
        _table(("role", "calls", "prompt tokens", "cached", "new tokens", "a call", "parse failures"), usage),
        f"Playbook v{run.best_version}:",
        _table(("id", "bullet", "helpful", "harmful", *credit), bullets) if bullets else "It is empty.",
    ]
    if run.causes:
        causes = [(cause, str(number)) for cause, number in run.causes.items()]
        parts += [f"{run.failure_count} failures:", _table(("cause", "count"), causes)]
    return parts


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    return "\n".join([*lines, *(f"| {' | '.join(map(_inline, row))} |" for row in rows)])


def _inline(text: str) -> str:
    """One line of Markdown without markup: no cell, tag or link begins in it."""
    escaped = visible(text.replace("\n", " ")).replace("\\", "\\\\")
    for char in "|<>[]`*_#":
        escaped = escaped.replace(char, f"\\{char}")
    return escaped


def _spreadsheet_text(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _matplotlib_figure() -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        command = install_command("plots")
        raise ProviderMissingError(
            "a PNG needs the package 'matplotlib', which is not installed",
            hint=command,
            provider="plots",
            package="matplotlib",
            command=command,
        ) from error
    return Figure
