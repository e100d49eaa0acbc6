"""The speed of an engine: seconds of a step, by what it computes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class EngineSpeed:
    """Seconds of a step of one engine, between measured points on straight lines.

    - `decoding`: (sequences, tokens of context of each, seconds) of a step that gives each sequence a token. Every
      number of sequences stands with every length of context.
    - `prefill`: (tokens, seconds) that computing so many tokens of prompts adds to a step.
    - `request_s`: what taking in a request adds.
    - `slots` sequences run at once on each of `engines`. `source` says where the figures are from.
    """

    decoding: tuple[tuple[int, int, float], ...]
    prefill: tuple[tuple[int, float], ...]
    request_s: float
    source: str
    engines: int = 1
    slots: int = 128

    def step_s(self, sequences: int, context: float) -> float:
        """Seconds of a step that gives each of `sequences` a token behind `context` tokens on average."""
        lines = self._lines
        if len(lines) == 1:
            return _interpolate(lines[0][1], sequences)
        lengths = [(length, _interpolate(line, sequences)) for length, line in lines]
        return max(_interpolate(lengths, context), lengths[0][1] * min(1.0, context / lengths[0][0]))

    def prefill_s(self, tokens: int) -> float:
        """Seconds that `tokens` of prompts add to a step."""
        return _interpolate(((0, 0.0), *self.prefill), tokens) if tokens else 0.0

    @cached_property
    def _lines(self) -> Sequence[tuple[int, Sequence[tuple[int, float]]]]:
        """For each length of context, in order: seconds by the number of sequences."""
        return [
            (length, sorted((sequences, seconds) for sequences, of, seconds in self.decoding if of == length))
            for length in sorted({length for _, length, _ in self.decoding})
        ]


def _interpolate(points: Sequence[tuple[int, float]], at: float) -> float:
    """The value at `at`, on the line through the points on both sides of it, or through the last two at an end."""
    if len(points) == 1:
        return points[0][1]
    right = min(max(bisect_right(points, at, key=lambda point: point[0]), 1), len(points) - 1)
    (x0, y0), (x1, y1) = points[right - 1], points[right]
    return max(0.0, y0 + (y1 - y0) * (at - x0) / (x1 - x0))
