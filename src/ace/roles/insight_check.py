"""Detection of insights and bullets that only repeat the prompt, without a model call."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

RUN = 6
"""Words in a row that count as repeated."""
MOST_REPEATED = 0.8
"""The share of an insight's words in repeated runs from which on it says nothing of its own."""

_WORD = re.compile(r"\w+")


def find_repetition(insight: str, *, questions: Iterable[str], target: str, prompt: str) -> str | None:
    """Name what `insight` repeats: "the question", "the right answer" or "the prompt". None if it adds to them.

    `prompt` is the role's own text, without samples and insights.
    """
    words = _words(insight)
    if not words:
        return None
    if words == _words(target):
        return "the right answer"
    for source, texts in (("the question", questions), ("the prompt", (prompt,))):
        if any(_repeats(words, _words(text)) for text in texts):
            return source
    return None


def _repeats(words: Sequence[str], source: Sequence[str]) -> bool:
    """Return True if `words` occur in `source` in a row, or nearly all of them in runs of `RUN`."""
    if len(words) <= RUN:
        return tuple(words) in _runs(source, len(words))
    runs = _runs(source, RUN)
    repeated: set[int] = set()
    for start in range(len(words) - RUN + 1):
        if tuple(words[start : start + RUN]) in runs:
            repeated.update(range(start, start + RUN))
    return len(repeated) >= MOST_REPEATED * len(words)


def _runs(words: Sequence[str], length: int) -> set[tuple[str, ...]]:
    return {tuple(words[start : start + length]) for start in range(len(words) - length + 1)}


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())
