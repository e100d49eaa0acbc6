"""Early stopping of the reflections on a sample when its insights repeat.

Two insights in a row repeat if three measures agree: their vectors (cosine), their key phrases (Jaccard), and their
structure (sentences, list items and lengths). None is enough alone: vectors miss a swapped number, phrases a reversed
sentence, structure any text of the same shape.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ace.config import EarlyStopSettings
from ace.playbook import Add, Delta, Embedder, Playbook, dedup_delta
from ace.playbook.similarity.text_features import key_phrases
from ace.types import Usage

StopReason = Literal["right", "rounds", "converged", "already_known", "bullets_proven", "budget", "no_signal", "error"]
"""Why reflection ended: the answer is right; `max_rounds`; the insights repeat; the playbook has the insight already;
the bullets behind a right answer are proven; the sample's tokens are spent; correctness is unknown; a call failed."""

_SENTENCE = re.compile(r"[.!?;:](?:\s|$)|\n")
_ITEM = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s", re.MULTILINE)


@dataclass(slots=True)
class Insights:
    """The insights of one sample, round by round, and when to stop. `split` divides a text into its insights."""

    settings: EarlyStopSettings
    embedder: Embedder
    playbook: Playbook
    split: Callable[[str], Sequence[str]]
    _last: str | None = None
    _repetitions: int = field(default=0)

    def stop(self, insight: str) -> StopReason | None:
        """Add the next insight. Return a reason to stop, None to go on."""
        settings, text = self.settings, insight.strip()
        if not settings.enabled:
            return None
        last, self._last = self._last, text
        if settings.duplicates and is_covered(self.split(text), self.playbook, self.embedder, settings.cosine):
            return "already_known"
        if last is None:
            return None
        if last.split() == text.split():  # the retry after it has failed already
            return "converged"
        self._repetitions = self._repetitions + 1 if is_repetition(last, text, self.embedder, settings) else 0
        return "converged" if self._repetitions >= settings.patience else None


def is_covered(parts: Sequence[str], playbook: Playbook, embedder: Embedder, threshold: float) -> bool:
    """Return True if dedup would drop each of `parts` as a new bullet, and if there are none."""
    proposed = Delta(tuple(Add("insight", part) for part in parts))
    return not dedup_delta(playbook, proposed, embedder, threshold).delta.operations


def is_proven(playbook: Playbook, used: Sequence[str], helpful: int | None) -> bool:
    """Return True if an answer cites bullets that were all tagged helpful at least that often and never harmful."""
    if helpful is None or not used:
        return False
    counters = [bullet.counters if (bullet := playbook.get(identity)) else None for identity in used]
    return all(c is not None and c.helpful >= helpful and c.harmful == 0 for c in counters)


def is_spent(usages: Iterable[Usage], settings: EarlyStopSettings) -> bool:
    """Return True if the calls of a sample's reflections and retries have used their tokens."""
    if not settings.enabled or settings.tokens is None:
        return False
    return sum(usage.prompt_tokens + usage.completion_tokens for usage in usages) >= settings.tokens


def is_repetition(one: str, other: str, embedder: Embedder, settings: EarlyStopSettings) -> bool:
    """Return True if two insights agree in vector, key phrases and structure."""
    if _structure(one, other) < settings.structure or _jaccard(one, other) < settings.phrases:
        return False
    first, second = embedder.embed([one, other])
    return bool(first @ second >= settings.cosine)


def _jaccard(one: str, other: str) -> float:
    mine, theirs = key_phrases(one), key_phrases(other)
    return len(mine & theirs) / len(mine | theirs) if mine or theirs else 1.0


def _structure(one: str, other: str) -> float:
    """Mean ratio of smaller to larger, of sentences, list items and words; in [0, 1]."""
    shapes = [(len(_SENTENCE.findall(t)) + 1, len(_ITEM.findall(t)) + 1, len(t.split()) + 1) for t in (one, other)]
    ratios: list[float] = [min(a, b) / max(a, b) for a, b in zip(shapes[0], shapes[1], strict=True)]
    return sum(ratios) / len(ratios)
