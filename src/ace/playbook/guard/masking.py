"""Spans of a text that must not be repeated, and the text without them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """`text[start:end]` is a `name`, such as an e-mail address."""

    start: int
    end: int
    name: str


def mask(text: str, spans: Iterable[Span]) -> str:
    """`text` with `[masked: name]` in the place of each span; those that overlap become one, named after the first.

    No character of a span is left: even a prefix narrows a guess, and a short number has none to spare.
    """
    shown: list[str] = []
    end = 0
    for span in sorted(spans):
        if span.start >= end:
            shown += [text[end : span.start], f"[masked: {span.name}]"]
        end = max(end, span.end)
    return "".join([*shown, text[end:]])
