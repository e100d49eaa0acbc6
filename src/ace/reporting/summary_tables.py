"""Tables of a run's summary: accuracy, calls and tokens, time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ace.engine import RoleTokens, RunSummary
from ace.engine.failures import FailureCount
from ace.inference.balancer import EndpointFigures
from ace.reporting.text import UNKNOWN, by_type, cell, count, percent, seconds
from ace.types import ROLES


def summary_view(summary: RunSummary) -> RenderableType:
    """Tables of the outcome and of each role's calls and tokens."""
    return Group(_outcome(summary), Text(), _roles(summary))


def headline(summary: RunSummary) -> str:
    """Accuracy before and after in one line. Online runs have one accuracy."""
    before, after, online = summary.accuracy_before, summary.accuracy_after, summary.accuracy_online
    if before is not None and after is not None:
        points = (after - before) * 100
        return f"accuracy {percent(before)} -> {percent(after)} ({points:+.1f} points)"
    if online is not None:
        return f"online accuracy {percent(online)}"
    return f"accuracy {percent(before if after is None else after)}"


def _outcome(summary: RunSummary) -> Table:
    table = Table.grid(padding=(0, 3))
    table.add_column(style="dim")
    table.add_column()
    rows: list[tuple[str, Text]] = [
        ("run", cell(f"{summary.run}  ({summary.status}, {summary.mode})")),
        ("engine", cell(f"{summary.provider} with {summary.model}")),
        ("result", Text(headline(summary), style="bold")),
        ("evaluated on", Text(f"{summary.evaluated_samples} samples of the test split")),
        ("adapted on", Text(f"{summary.samples} samples, counted each epoch")),
        *([("ended because", cell(summary.reason))] if summary.reason else []),
        ("failed samples", _warning_if_positive(summary.failed_samples)),
        *failure_rows(summary.failures),
        *_retry(summary),
        ("parse failures", _warning_if_positive(summary.parse_failures)),
        ("playbook", Text(f"version {summary.playbook_version}, {summary.playbook_bullets} bullets")),
        ("reflection ended", Text(by_type(summary.stops))),
        *_tiers(summary),
        ("completion-cache hits", Text(_hits(summary))),
        ("prefix-cache hits", Text(_prefix(summary))),
        *_estimates(summary),
        *(("endpoint", cell(_endpoint(figures))) for figures in summary.endpoints),
        *(("note", cell(note)) for note in summary.notes),
        ("time", Text(_times(summary))),
    ]
    rows[3:3] = [(f"measured {label}", cell(metrics_text(metrics))) for label, metrics in summary.metrics.items()]
    for name, value in rows:
        table.add_row(name, value)
    return table


MOST_FAILURES = 5


def failure_rows(failures: Sequence[FailureCount]) -> list[tuple[str, Text]]:
    """The most frequent errors with their counts, and the number of the others."""
    rows = [("error", cell(f"{failure.count} x {failure.error}", limit=400)) for failure in failures]
    more = failures[MOST_FAILURES:]
    others = f"{sum(failure.count for failure in more)} more of {len(more)} other kinds"
    return rows[:MOST_FAILURES] + ([("error", Text(others))] if more else [])


def _retry(summary: RunSummary) -> list[tuple[str, Text]]:
    if not summary.failed_samples or summary.status != "done" or summary.mode == "probe":
        return []
    return [("ask them again", cell(f"ace resume {summary.run} --retry-failed"))]


def _estimates(summary: RunSummary) -> list[tuple[str, Text]]:
    """Number of tokens that no engine reported, if any."""
    total = sum(summary.tokens.values(), RoleTokens())
    tokens = count(total.prompt + total.completion)
    text = f"{count(total.estimated)} of {tokens} tokens, which the endpoint did not report"
    return [("estimated", Text(text))] if total.estimated else []


def _endpoint(figures: EndpointFigures) -> str:
    """`http://a/v1: 12 answers, 0.8 s each; 3 failures`, without what did not happen."""
    each = f", {seconds(figures.seconds / figures.answers)} each" if figures.answers else ""
    rest = {"failures": figures.failures, "rate limits": figures.limited, "hedges": figures.hedges}
    others = "".join(f"; {number} {name}" for name, number in rest.items() if number)
    return f"{figures.address}: {count(figures.answers)} answers{each}{others}"


def _tiers(summary: RunSummary) -> list[tuple[str, Text]]:
    """Calls by model and reasons of escalation, for roles with a larger model."""
    return [
        (f"{role} calls", cell(f"{by_type(summary.models[role])}; escalated: {by_type(reasons)}"))
        for role, reasons in summary.escalations.items()
    ]


def _hits(summary: RunSummary) -> str:
    hits = summary.cache_hits
    return f"{count(hits)} of {count(hits + sum(summary.calls.values()))} calls"


def _prefix(summary: RunSummary) -> str:
    saved = sum(tokens.cached for tokens in summary.tokens.values())
    text = f"{percent(summary.prefix_cache_hit_rate)} of all prompt tokens, {count(saved)} that need no prefill"
    later = summary.second_half_hit_rate
    return text if later is None else f"{text}; {percent(later)} in the second half of the batches"


def metrics_text(metrics: Mapping[str, float], *, most: int = 8) -> str:
    """A task's own numbers, which are shares: `token_accuracy 91.2%, span_f1 40.0%`."""
    texts = [f"{name} {percent(value)}" for name, value in list(metrics.items())[:most]]
    return ", ".join(texts + ([f"and {len(metrics) - most} more"] if len(metrics) > most else []))


def _warning_if_positive(number: int) -> Text:
    return Text(str(number), style="yellow" if number else "")


def _times(summary: RunSummary) -> str:
    parts = {
        "engine start": summary.engine_start_s,
        "evaluation": summary.evaluate_s,
        "adaptation": summary.adapt_s,
    }
    split = ", ".join(f"{name} {seconds(value)}" for name, value in parts.items())
    rest = max(summary.wall_s - sum(parts.values()), 0.0)
    outside = summary.outside_engine
    split += "" if outside is None else f" ({percent(outside)} of it outside the engine)"
    return f"{seconds(summary.wall_s)}: {split}, rest {seconds(rest)}"


def _roles(summary: RunSummary) -> Table:
    return usage_table({role: (summary.calls.get(role, 0), summary.tokens.get(role, RoleTokens())) for role in ROLES})


def usage_table(usage: Mapping[str, tuple[int, RoleTokens]]) -> Table:
    """Calls and tokens of each role, and their sums. Speculative decoding has columns only where it was on."""
    calls = sum(calls for calls, _ in usage.values())
    total = sum((tokens for _, tokens in usage.values()), RoleTokens())
    table = Table(box=None, padding=(0, 3, 0, 0), header_style="dim")
    table.add_column("role")
    names = ("calls", "prompt tokens", "from cache", "hit rate", "generated tokens")
    for name in names + (("drafts accepted", "tokens a draft") if total.drafted else ()):
        table.add_column(name, justify="right")
    for role, (number, tokens) in {**usage, "all": (calls, total)}.items():
        speculated = _draft_cells(tokens) if total.drafted else ()
        table.add_row(role, *_usage_cells(number, tokens), *speculated, style="bold" if role == "all" else None)
    return table


def _usage_cells(calls: int, tokens: RoleTokens) -> tuple[str, ...]:
    return (
        count(calls),
        count(tokens.prompt),
        count(tokens.cached),
        percent(tokens.cache_hit_rate),
        count(tokens.completion),
    )


def _draft_cells(tokens: RoleTokens) -> tuple[str, str]:
    """Share of the drafted tokens that was accepted, and mean length of a step with its draft."""
    length = tokens.accepted_length
    return percent(tokens.acceptance_rate), UNKNOWN if length is None else f"{length:.2f}"
