"""When reflecting on a sample ends before `max_rounds`: nothing new is being said.

Two insights in a row say the same where three things agree: their vectors (cosine), their key phrases (Jaccard), and
their structure (sentences, list items and lengths). Alone, each is fooled: vectors by a swapped number, phrases by a
turned sentence, structure by any text of the same shape.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ace.config import EarlyStopSettings
from ace.playbook import Add, Delta, Embedder, Playbook, dedup_delta
from ace.playbook.similarity.text_features import key_phrases
from ace.types import Usage

StopReason = Literal["right", "rounds", "converged", "already_known", "bullets_proven", "budget", "no_signal", "error"]
"""Why no more reflections were asked for: the answer is right; `max_rounds`; the insights repeat; the playbook says it
already; the bullets behind a right answer are proven; the sample's tokens are spent; nothing tells whether the answer
is right; a call failed."""

_SENTENCE = re.compile(r"[.!?;:](?:\s|$)|\n")
_ITEM = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s", re.MULTILINE)


@dataclass(slots=True)
class Insights:
    """The insights of one sample, round by round, and whether the next would bring anything."""

    settings: EarlyStopSettings
    embedder: Embedder
    playbook: Playbook
    separator: str = ""
    _last: str | None = None
    _alike: int = field(default=0)

    def stop(self, insight: str) -> StopReason | None:
        """Hear of the next one. A reason to stop, None to go on."""
        if not self.settings.enabled:
            return None
        text = insight.strip()
        last, self._last = self._last, text
        parts = insight_parts(text, self.separator)
        if self.settings.known and is_known(parts, self.playbook, self.embedder, self.settings.cosine):
            return "already_known"
        if last is None:
            return None
        if last.split() == text.split():  # the retry after it has failed already
            return "converged"
        self._alike = self._alike + 1 if is_alike(last, text, self.embedder, self.settings) else 0
        return "converged" if self._alike >= self.settings.patience else None


def is_known(parts: Sequence[str], playbook: Playbook, embedder: Embedder, threshold: float) -> bool:
    """Whether a live bullet says each of `parts` already, by the rules of dedup. True where there are none."""
    proposed = Delta(tuple(Add("insight", part) for part in parts))
    return not dedup_delta(playbook, proposed, embedder, threshold).delta.operations


def insight_parts(text: str, separator: str) -> list[str]:
    """The insights that one text holds: several where the pack has a separator."""
    parts = text.split(separator) if separator else [text]
    return [part for part in map(str.strip, parts) if part]


def is_proven(playbook: Playbook, used: Sequence[str], helpful: int | None) -> bool:
    """Whether a right answer used bullets, and each has been tagged helpful at least so often and never harmful."""
    if helpful is None or not used:
        return False
    counters = [held.counters if (held := playbook.get(identity)) else None for identity in used]
    return all(c is not None and c.helpful >= helpful and c.harmful == 0 for c in counters)


def is_spent(usages: Iterable[Usage], settings: EarlyStopSettings) -> bool:
    """Whether the calls of a sample's reflections and retries have cost all the tokens that they may."""
    if not settings.enabled or settings.tokens is None:
        return False
    return sum(usage.prompt_tokens + usage.completion_tokens for usage in usages) >= settings.tokens


def is_alike(one: str, other: str, embedder: Embedder, settings: EarlyStopSettings) -> bool:
    """Whether two insights agree in vector, key phrases and structure."""
    if _structure(one, other) < settings.structure or _jaccard(one, other) < settings.phrases:
        return False
    first, second = embedder.embed([one, other])
    return bool(first @ second >= settings.cosine)


def _jaccard(one: str, other: str) -> float:
    mine, theirs = key_phrases(one), key_phrases(other)
    return len(mine & theirs) / len(mine | theirs) if mine or theirs else 1.0


def _structure(one: str, other: str) -> float:
    """The mean of smaller over larger, of sentences, list items and words; in [0, 1]."""
    shapes = [(len(_SENTENCE.findall(t)) + 1, len(_ITEM.findall(t)) + 1, len(t.split()) + 1) for t in (one, other)]
    ratios: list[float] = [min(a, b) / max(a, b) for a, b in zip(shapes[0], shapes[1], strict=True)]
    return sum(ratios) / len(ratios)
