"""Phrases that tell one target's samples from those of the others, found without a model call."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

SHARE = 0.6
"""The share of a word's occurrences from which on it tells a target from the others."""

_WORD = re.compile(r"\w+")


def distinctive_phrases(
    phrases: Mapping[str, Sequence[str]], questions: Mapping[str, Iterable[str]]
) -> dict[str, tuple[str, ...]]:
    """Keep of each target's `phrases` those with a word that tells it from the others, the most frequent word first.

    Occurrences are counted over the `questions` of all targets and over their phrases. What most targets share, such as
    a product's name or "a problem", says nothing about any of them.
    """
    occurrences: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for texts in (questions, phrases):
        for target, each in texts.items():
            for word in (word for text in each for word in _words(text)):
                occurrences[word][target] += 1

    def support(phrase: str, target: str) -> int:
        counts = [occurrences[word] for word in _words(phrase)]
        return max((count[target] for count in counts if count[target] >= SHARE * count.total()), default=0)

    result: dict[str, tuple[str, ...]] = {}
    for target, each in phrases.items():
        supports = {phrase: support(phrase, target) for phrase in each}
        result[target] = tuple(sorted(filter(supports.__getitem__, supports), key=supports.__getitem__, reverse=True))
    return result


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.casefold()))
