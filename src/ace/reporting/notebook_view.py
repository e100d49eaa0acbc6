"""A run as HTML for notebooks: accuracy, a learning curve and the playbook."""

from __future__ import annotations

from collections.abc import Sequence

from ace.engine import RunSummary
from ace.playbook import Playbook
from ace.reporting.text import percent
from ace.store import RunReader

WIDTH, HEIGHT = 420, 120
DASHED = 'stroke="currentColor" stroke-dasharray="3 3"'
SOLID = 'stroke="#2f7de1" stroke-width="2"'
_LEFT, _BELOW = 34, 16


def result_html(store: RunReader, summary: RunSummary, playbook: Playbook) -> str:
    """A fragment that needs no script and no style of the page."""
    accuracy = f"{percent(summary.accuracy_before)} → {percent(summary.accuracy_after)}"
    first = [
        (batch.index + 1, (batch.correct - batch.corrected) / batch.samples) for batch in store.batches(summary.run)
    ]
    evaluated = [
        (0 if each.after_batch is None else each.after_batch + 1, each.accuracy)
        for each in store.evaluations(summary.run)
        if each.split == "test"
    ]
    curve = learning_curve(first, evaluated) if first else ""
    return f"<p>Accuracy {accuracy}, {len(playbook)} bullets.</p>{curve}{playbook._repr_html_()}"


def learning_curve(first: Sequence[tuple[int, float]], evaluated: Sequence[tuple[int, float]]) -> str:
    """Shares of right answers as an SVG: first answers by batch (dashed), and evaluations (dots with a line).

    Both are pairs of the number of batches and a share in [0, 1].
    """
    last = max(batch for batch, _ in (*first, *evaluated))

    def place(batch: int, share: float) -> tuple[float, float]:
        x = _LEFT + (WIDTH - _LEFT - 8) * batch / max(last, 1)
        return x, 8 + (HEIGHT - _BELOW - 8) * (1 - share)

    def line(points: Sequence[tuple[int, float]], style: str) -> str:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in points))
        return f'<polyline points="{path}" fill="none" {style}/>'

    grid = "".join(
        f'<line x1="{_LEFT}" x2="{WIDTH - 8}" y1="{y:.1f}" y2="{y:.1f}" stroke="currentColor" opacity="0.2"/>'
        f'<text x="{_LEFT - 4}" y="{y + 4:.1f}" text-anchor="end">{share:.0%}</text>'
        for share, (_, y) in ((share, place(0, share)) for share in (0.0, 0.5, 1.0))
    )
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="#2f7de1"/>' for x, y in (place(*each) for each in evaluated)
    )
    shares = ", ".join(f"{share:.0%}" for _, share in first)
    return (
        f'<svg width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" font-size="11"'
        f' fill="currentColor" aria-label="Right first answers by batch: {shares}">'
        f"<title>Dashed: right first answers by batch. Dots: the test split.</title>{grid}"
        f"{line(first, DASHED)}{line(evaluated, SOLID)}{dots}"
        f'<text x="{WIDTH - 8}" y="{HEIGHT - 2}" text-anchor="end">{last} batches</text></svg>'
    )
