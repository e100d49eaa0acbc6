"""Spans of a text that must not be repeated, and their masking."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Span:
    """`text[start:end]` is a `name`, such as an e-mail address."""

    start: int
    end: int
    name: str


def joined(spans: Iterable[Span]) -> list[Span]:
    """The spans in order; those that overlap are one, named after the first, the longer, or the earlier given one."""
    apart: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if apart and span.start < apart[-1].end:
            apart[-1] = replace(apart[-1], end=max(apart[-1].end, span.end))
        else:
            apart.append(span)
    return apart


def mask(text: str, spans: Iterable[Span]) -> str:
    """`text` with `[masked: name]` in the place of each span.

    No character of a span is left: even a prefix narrows a guess, and a short number has none to spare.
    """
    parts: list[str] = []
    end = 0
    for span in joined(spans):
        parts += [text[end : span.start], f"[masked: {span.name}]"]
        end = span.end
    return "".join([*parts, text[end:]])
