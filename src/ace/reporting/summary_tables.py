"""A run's summary as a table: what it achieved, what it cost, where the time went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ace.engine import RoleTokens
from ace.engine.summary import outside_engine
from ace.reporting.text import UNKNOWN, by_type, cell, count, percent, seconds
from ace.types import ROLES


def summary_view(summary: Mapping[str, Any]) -> RenderableType:
    """The tables of a RunSummary's JSON (`RunSummary.to_json()`, or what the store kept of it)."""
    return Group(_outcome(summary), Text(), _roles(summary))


def headline(summary: Mapping[str, Any]) -> str:
    """Accuracy before and after in one line; online runs have one accuracy."""
    before, after, online = (summary[f"accuracy_{key}"] for key in ("before", "after", "online"))
    if before is not None and after is not None:
        points = (after - before) * 100
        return f"accuracy {percent(before)} -> {percent(after)} ({points:+.1f} points)"
    if online is not None:
        return f"online accuracy {percent(online)}"
    return f"accuracy {percent(before if after is None else after)}"


def _outcome(summary: Mapping[str, Any]) -> Table:
    table = Table.grid(padding=(0, 3))
    table.add_column(style="dim")
    table.add_column()
    rows: list[tuple[str, Text]] = [
        ("run", cell(f"{summary['run']}  ({summary['status']}, {summary['mode']})")),
        ("engine", cell(f"{summary['provider']} with {summary['model']}")),
        ("result", Text(headline(summary), style="bold")),
        ("evaluated on", Text(f"{summary['evaluated_samples']} samples of the test split")),
        ("adapted on", Text(f"{summary['samples']} samples, counted each epoch")),
        *([("ended because", cell(str(summary["reason"])))] if summary.get("reason") else []),
        ("failed samples", _alarming(summary["failed_samples"])),
        *failure_rows(summary.get("failures", ())),  # not in the summaries of older stores
        *_retry(summary),
        ("answers not understood", _alarming(summary["parse_failures"])),
        ("playbook", Text(f"version {summary['playbook_version']}, {summary['playbook_bullets']} bullets")),
        ("reflection ended", Text(by_type(summary.get("stops", {})))),  # not in the summaries of older stores
        *_tiers(summary),
        ("completion-cache hits", Text(_hits(summary))),
        ("prefix-cache hits", Text(_prefix(summary))),
        *_estimates(summary),
        *(("note", cell(note)) for note in summary.get("notes", ())),
        ("time", Text(_times(summary))),
    ]
    measured = summary.get("metrics", {})  # not in the summaries of older stores
    rows[3:3] = [(f"measured {label}", cell(metrics_text(metrics))) for label, metrics in measured.items()]
    for name, value in rows:
        table.add_row(name, value)
    return table


MOST_FAILURES = 5


def failure_rows(failures: Sequence[Mapping[str, Any]]) -> list[tuple[str, Text]]:
    """The most frequent errors with how often each occurred, and how many others there are."""
    rows = [("error", cell(f"{failure['count']} x {failure['error']}", limit=400)) for failure in failures]
    more = failures[MOST_FAILURES:]
    others = f"{sum(failure['count'] for failure in more)} more of {len(more)} other kinds"
    return rows[:MOST_FAILURES] + ([("error", Text(others))] if more else [])


def _retry(summary: Mapping[str, Any]) -> list[tuple[str, Text]]:
    if not summary["failed_samples"] or summary["status"] != "done" or summary["mode"] == "probe":
        return []
    return [("ask them again", cell(f"ace resume {summary['run']} --retry-failed"))]


def _estimates(summary: Mapping[str, Any]) -> list[tuple[str, Text]]:
    """How many tokens no engine reported, where there are such."""
    estimated = sum(tokens.get("estimated", 0) for tokens in summary["tokens"].values())
    every = sum(tokens["prompt"] + tokens["completion"] for tokens in summary["tokens"].values())
    text = f"{count(estimated)} of {count(every)} tokens, which the endpoint did not report"
    return [("estimated", Text(text))] if estimated else []


def _tiers(summary: Mapping[str, Any]) -> list[tuple[str, Text]]:
    """Which models answered and why, where a role asked a larger one. Summaries of older stores do not tell."""
    escalations: Mapping[str, Mapping[str, int]] = summary.get("escalations", {})
    return [
        (f"{role} asked", cell(f"{by_type(summary['models'][role])}; escalated: {by_type(reasons)}"))
        for role, reasons in escalations.items()
    ]


def _hits(summary: Mapping[str, Any]) -> str:
    hits = summary.get("cache_hits", 0)  # not in the summaries of older stores
    return f"{count(hits)} of {count(hits + sum(summary['calls'].values()))} calls"


def _prefix(summary: Mapping[str, Any]) -> str:
    saved = sum(tokens["cached"] for tokens in summary["tokens"].values())
    text = f"{percent(summary['prefix_cache_hit_rate'])} of all prompt tokens, {count(saved)} that need no prefill"
    later = summary.get("second_half_hit_rate")  # not in the summaries of older stores
    return text if later is None else f"{text}; {percent(later)} in the second half of the batches"


def metrics_text(metrics: Mapping[str, float], *, most: int = 8) -> str:
    """A task's own numbers, which are shares: `token_accuracy 91.2%, span_f1 40.0%`."""
    shown = [f"{name} {percent(value)}" for name, value in list(metrics.items())[:most]]
    return ", ".join(shown + ([f"and {len(metrics) - most} more"] if len(metrics) > most else []))


def _alarming(number: int) -> Text:
    return Text(str(number), style="yellow" if number else "")


def _times(summary: Mapping[str, Any]) -> str:
    parts = {"engine start": "engine_start_s", "evaluation": "evaluate_s", "adaptation": "adapt_s"}
    split = ", ".join(f"{name} {seconds(summary[key])}" for name, key in parts.items())
    rest = summary["wall_s"] - sum(summary[key] for key in parts.values())
    outside = outside_engine(summary.get("engine_s"), summary["adapt_s"])  # older stores lack `engine_s`
    split += "" if outside is None else f" ({percent(outside)} of it outside the engine)"
    return f"{seconds(summary['wall_s'])}: {split}, rest {seconds(max(rest, 0.0))}"


def _roles(summary: Mapping[str, Any]) -> Table:
    calls = {role: summary["calls"].get(role, 0) for role in ROLES}
    return usage_table({role: (calls[role], summary["tokens"].get(role, {})) for role in ROLES})


_KINDS = ("prompt", "cached", "completion", "drafted", "accepted", "draft_steps")


def usage_table(usage: Mapping[str, tuple[int, Mapping[str, int]]]) -> Table:
    """Calls and tokens (the JSON of `RoleTokens`, in which keys may lack) of each role, and their sums.

    What speculative decoding brought is shown only where it was on.
    """
    counts = {role: (calls, {kind: tokens.get(kind, 0) for kind in _KINDS}) for role, (calls, tokens) in usage.items()}
    total = {kind: sum(tokens[kind] for _, tokens in counts.values()) for kind in _KINDS}
    rows = {**counts, "all": (sum(calls for calls, _ in counts.values()), total)}
    table = Table(box=None, padding=(0, 3, 0, 0), header_style="dim")
    table.add_column("role")
    names = ("calls", "prompt tokens", "from cache", "hit rate", "generated tokens")
    for name in names + (("drafts accepted", "tokens a draft") if total["drafted"] else ()):
        table.add_column(name, justify="right")
    for role, (calls, tokens) in rows.items():
        speculated = _draft_cells(tokens) if total["drafted"] else ()
        table.add_row(role, *_usage_cells(calls, tokens), *speculated, style="bold" if role == "all" else None)
    return table


def _usage_cells(calls: int, tokens: Mapping[str, int]) -> tuple[str, ...]:
    rate = tokens["cached"] / tokens["prompt"] if tokens["prompt"] else None
    return count(calls), count(tokens["prompt"]), count(tokens["cached"]), percent(rate), count(tokens["completion"])


def _draft_cells(tokens: Mapping[str, int]) -> tuple[str, str]:
    """The share of the drafted tokens that was taken, and the mean length of a step with its draft."""
    known = RoleTokens(**tokens)
    length = known.accepted_length
    return percent(known.acceptance_rate), UNKNOWN if length is None else f"{length:.2f}"
