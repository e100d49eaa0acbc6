"""The runs of a store as a table, and one run in full, batch by batch."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ace.engine import RoleTokens, RunSummary
from ace.engine.failures import count_failures
from ace.reporting.summary_tables import failure_rows, metrics_text, summary_view, usage_table
from ace.reporting.text import UNKNOWN, by_type, cell, moment, percent, seconds
from ace.store import BatchInfo, EvaluationInfo, RoleUsage, Run, RunReader, VersionInfo
from ace.types import ROLES, Usage

_COLOURS = {"done": "green", "running": "cyan", "interrupted": "yellow", "abandoned": "yellow", "failed": "red"}


def runs_table(runs: Sequence[Run]) -> RenderableType:
    """One line a run."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("run", "status", "task", "model", "batches", "before", "after", "started"):
        table.add_column(name, no_wrap=name == "run")
    for run in runs:
        summary = None if run.summary is None else RunSummary.from_json(run.summary)
        table.add_row(
            cell(run.id),
            _status(run),
            cell(run.task),
            cell(summary.model if summary else UNKNOWN, limit=40),
            str(run.batches),
            percent(summary.accuracy_before if summary else None),
            percent(summary.accuracy_after if summary else None),
            moment(run.created),
        )
    return table


def run_view(store: RunReader, run: Run) -> RenderableType:
    """Everything about one run: identity, evaluations, batches, and its summary or what it used so far."""
    parts: list[RenderableType] = [_identity(run)]
    if evaluations := store.evaluations(run.id):
        parts += [Text(), _evaluations(evaluations)]
    if batches := store.batches(run.id):
        parts += [Text(), _batches(batches, store.playbook_versions(run.id))]
    if run.summary is None:
        parts += [*_failures(store, run), Text(), _usage(store, run)]
    else:
        parts += [Text(), summary_view(RunSummary.from_json(run.summary))]
    return Group(*parts)


def _failures(store: RunReader, run: Run) -> list[RenderableType]:
    """Errors of a run without a summary, and changes that its backends made to requests."""
    failures = count_failures(store.errors(run.id))
    table = Table.grid(padding=(0, 3))
    table.add_column(style="dim")
    table.add_column()
    for name, value in (*failure_rows(failures), *(("note", cell(note)) for note in run.notes)):
        table.add_row(name, value)
    return [Text(), table] if table.row_count else []


def _status(run: Run) -> Text:
    status = "abandoned" if run.abandoned else run.status
    return Text(status, style=_COLOURS.get(status, ""))


def _identity(run: Run) -> Table:
    table = Table.grid(padding=(0, 3))
    table.add_column(style="dim")
    table.add_column()
    ended = f", ended {moment(run.finished)}" if run.finished else ""
    for name, value in (
        ("run", cell(run.id, style="bold")),
        ("status", _status(run)),
        ("started", Text(f"{moment(run.created)}{ended}")),
        ("task", cell(f"{run.task}  {run.task_digest[:19]}")),
        ("prompts", cell(f"{run.pack}  {run.pack_digest[:19]}")),
        ("settings", cell(run.settings_digest[:19])),
        ("ace", cell(run.ace_version)),
    ):
        table.add_row(name, value)
    if run.error and (run.summary is None or run.status == "failed"):
        table.add_row("ended because", cell(run.error))
    if run.status in ("interrupted", "failed") or run.abandoned:
        table.add_row("resume with", cell(f"ace resume {run.id}"))
    return table


def _evaluations(evaluations: Sequence[EvaluationInfo]) -> Table:
    table = Table(box=None, padding=(0, 3, 0, 0), header_style="dim")
    table.add_column("evaluation")
    table.add_column("split")
    for name in ("after batch", "playbook", "right", "failed", "accuracy"):
        table.add_column(name, justify="right")
    measured = any(e.metrics for e in evaluations)
    if measured:
        table.add_column("measured", ratio=1)
    for e in evaluations:
        after = UNKNOWN if e.after_batch is None else str(e.after_batch + 1)
        right = f"{e.correct}/{e.n}"
        own = [cell(metrics_text(e.metrics))] if measured else []
        table.add_row(
            cell(e.label),
            cell(e.split),
            after,
            f"v{e.playbook_version}",
            right,
            str(e.failed),
            percent(e.accuracy),
            *own,
        )
    return table


def _batches(batches: Sequence[BatchInfo], versions: Sequence[VersionInfo]) -> Table:
    by_batch = {version.batch: version for version in versions}
    table = Table(box=None, padding=(0, 3, 0, 0), header_style="dim")
    for name in (
        "batch",
        "epoch",
        "right",
        "after reflection",
        "failed",
        "playbook",
        "bullets",
        "operations",
        "cached",
        "time",
    ):
        table.add_column(name, justify="left" if name == "operations" else "right")
    for batch in batches:
        version = by_batch.get(batch.index)
        operations = version.operations if version else {}
        table.add_row(
            str(batch.index + 1),
            str(batch.epoch + 1),
            f"{batch.correct - batch.corrected}/{batch.samples}",
            str(batch.corrected),
            str(batch.failed),
            f"v{batch.playbook_version}",
            str(version.bullets) if version else UNKNOWN,
            cell(by_type(operations)),
            percent(batch.cache_hit_rate),
            seconds((batch.finished - batch.started).total_seconds()),
        )
    return table


def _usage(store: RunReader, run: Run) -> Table:
    by_role = store.usage_by_role(run.id)
    used = {role: by_role.get(role, RoleUsage(0, Usage(), 0, 0)) for role in ROLES}
    return usage_table({role: (usage.calls, RoleTokens.of(usage.usage)) for role, usage in used.items()})
