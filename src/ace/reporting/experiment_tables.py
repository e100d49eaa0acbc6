"""Tables of experiments: leaderboard, comparisons, attribution of bullets, and the history of a sample."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ace.bench.markdown_tables import table as markdown_table
from ace.experiments import BulletCredit, Comparison, Credit, History, Leaderboard, LeaderboardRow
from ace.experiments.statistics import Interval, PairedTest
from ace.reporting.playbook_tables import diff_view
from ace.reporting.text import UNKNOWN, cell, count, p_text, percent, seconds, visible

MEASURES = {"right": "share of right answers", "score": "mean score"}


_COLUMNS = (
    *("settings", "accuracy", "95% interval", "seeds", "failed", "against the first", "p (Holm)"),
    *("calls", "tokens", "adaptation"),
)


def leaderboard_view(table: Leaderboard) -> RenderableType:
    """One line a row, every row against the first."""
    view = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in _COLUMNS:
        view.add_column(name, justify="left" if name == "settings" else "right")
    for row in table.rows:
        view.add_row(*map(cell, _row(row)))
    return Group(view, Text(), Text(leaderboard_note(table), style="dim"))


def leaderboard_markdown(table: Leaderboard) -> str:
    """The same as a Markdown table."""
    rows = ([text.replace("|", "\\|") for text in _row(row)] for row in table.rows)
    return f"{markdown_table(_COLUMNS, rows)}\n\n{leaderboard_note(table)}\n"


def _row(row: LeaderboardRow) -> tuple[str, ...]:
    return (
        visible(row.name),
        percent(row.accuracy),
        interval_text(row.interval),
        seeds_text(row),
        str(row.failed),
        UNKNOWN if row.against_first is None else difference_text(row.against_first),
        p_text(row.p_corrected),
        count(round(row.calls)),
        count(round(row.tokens)),
        seconds(row.adapt_s),
    )


def leaderboard_note(table: Leaderboard) -> str:
    """Explanation of the table's numbers."""
    seeds = ", ".join(map(str, table.seeds))
    return (
        f"Test split, {table.rows[0].samples} samples over the seeds {seeds}. Intervals are over samples (Wilson, or "
        "BCa bootstrap); 'seeds' is the lowest and the highest accuracy of a seed. A failed sample is not right. "
        "Calls, tokens and seconds are means of a run."
    )


def seeds_text(row: LeaderboardRow) -> str:
    """The lowest and the highest accuracy of a seed, and how many there are."""
    low, high = min(row.by_seed), max(row.by_seed)
    return percent(low) if len(row.by_seed) == 1 else f"{percent(low)} to {percent(high)} of {len(row.by_seed)}"


def difference_text(test: PairedTest) -> str:
    """A difference in points, with its interval."""
    return f"{test.difference * 100:+.1f} ({test.interval.low * 100:+.1f} to {test.interval.high * 100:+.1f})"


def interval_text(interval: Interval) -> str:
    """Both bounds of an interval of a share."""
    return f"{interval.low * 100:.1f} to {interval.high * 100:.1f}"


def comparisons_view(comparisons: Sequence[Comparison], *, most: int = 10) -> RenderableType:
    """All comparisons in one table, then up to `most` samples for each side that only this side got right."""
    first = comparisons[0]
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("")
    for name in ("mean", "95% interval", "failed", "difference, points", "p", "p (Holm)", "only first", "only this"):
        table.add_column(name, justify="right")
    table.add_row(
        _side_name(first.a.run, first.a.label, first.a.playbook_version),
        percent(first.a.mean),
        interval_text(first.a.interval),
        str(first.a.failed),
        *[UNKNOWN] * 5,
    )
    for one in comparisons:
        table.add_row(
            _side_name(one.b.run, one.b.label, one.b.playbook_version),
            percent(one.b.mean),
            interval_text(one.b.interval),
            str(one.b.failed),
            difference_text(one.test),
            p_text(one.test.p),
            p_text(one.p_corrected),
            str(one.test.only_a),
            str(one.test.only_b),
        )
    parts: list[RenderableType] = [table, Text(), Text(comparison_note(comparisons), style="dim")]
    for one in comparisons:
        if one.disagreements and most:
            parts += [Text(), _disagreements(one, most)]
    return Group(*parts)


def comparison_note(comparisons: Sequence[Comparison]) -> str:
    """The tests of the comparisons, and the differences that their samples can show."""
    first = comparisons[0]
    tests = {
        "mcnemar": "p: McNemar's exact test",
        "permutation": "p: permutation of the differences' signs",
    }
    test = tests[first.test.test]
    notes = [f"{MEASURES[first.measure]} of {first.test.n} samples; {test}; intervals: paired bootstrap."]
    for one in comparisons:
        detectable = UNKNOWN if one.detectable is None else f"{one.detectable * 100:.1f} points"
        notes.append(
            f"{one.b.run}: these samples show a difference of {detectable} with 80% power; "
            f"{one.target_difference * 100:g} points would need {count(one.samples_needed)} samples."
        )
    return "\n".join(notes)


def _side_name(run: str, label: str, version: int) -> Text:
    return cell(f"{run} {label} (playbook v{version})")


def _disagreements(one: Comparison, most: int) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", title_justify="left")
    table.add_column("better")
    table.add_column("sample", no_wrap=True)
    table.add_column("answer of the first", ratio=1)
    table.add_column(f"answer of {one.b.run}", ratio=1)
    for better, name in (("a", "first"), ("b", "this")):
        items = [item for item in one.disagreements if item.better == better]
        for item in items[:most]:
            table.add_row(name, cell(item.sample), cell(item.answer_a, limit=200), cell(item.answer_b, limit=200))
        if len(items) > most:
            table.add_row(name, Text(f"... and {len(items) - most} more", style="dim"))
    return table


def credit_view(credit: Credit) -> RenderableType:
    """The groups, the most useful first."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("id", no_wrap=True)
    table.add_column("bullet", ratio=1)
    for name in ("effect, points", "p (Holm)", "lost", "gained", "helpful", "harmful"):
        table.add_column(name, justify="right")
    for each in credit.ranking:
        table.add_row(cell(each.name), _content(each), *_effect_cells(each))
    note = (
        f"{percent(credit.accuracy)} ({MEASURES[credit.measure]}) with all bullets, on {credit.samples} samples of the "
        f"{credit.split} split. Effect: the loss without the bullet; 'lost' and 'gained' count samples. "
        f"Stored as {credit.run}."
    )
    return Group(table, Text(), cell(note, style="dim"))


def _content(credit: BulletCredit) -> Text:
    if len(credit.bullets) == 1:
        return cell(credit.bullets[0].content)
    return cell(f"{len(credit.bullets)} bullets, such as: {credit.bullets[0].content}")


def _effect_cells(credit: BulletCredit) -> tuple[str, ...]:
    counters = [bullet.counters for bullet in credit.bullets]
    return (
        difference_text(credit.test),
        p_text(credit.p_corrected),
        str(credit.test.only_b),
        str(credit.test.only_a),
        str(sum(c.helpful for c in counters)),
        str(sum(c.harmful for c in counters)),
    )


def history_view(history: History) -> RenderableType:
    """The answers version by version, then the differences between versions that made the sample wrong."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("version", "batch", "right", "answer"):
        table.add_column(name, justify="left" if name == "answer" else "right")
    last: str | None = None
    for step in history.answers:
        answer = step.outcome.answer if step.outcome.status == "scored" else f"failed: {step.outcome.error}"
        result = f"{step.outcome.correct}{answer}"
        if result == last and step is not history.answers[-1]:
            continue  # the same answer again: the table would be as long as the run
        last = result
        right = "yes" if step.outcome.correct else "no"
        batch = UNKNOWN if step.batch is None else str(step.batch + 1)
        table.add_row(f"v{step.version}", batch, right, cell(answer, limit=200))
    parts: list[RenderableType] = [cell(history.sample.question, style="bold", limit=500), Text(), table]
    for regression in history.regressions:
        title = f"right with v{regression.before.version}, not right with v{regression.after.version}:"
        parts += [Text(), Text(title, style="bold"), diff_view(regression.difference)]
    if not history.regressions:
        parts += [Text(), Text("no version that was wrong came after one that was right")]
    return Group(*parts)
