"""Why calls, samples and insights of a run were lost, with how often."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

_VARYING = re.compile(r"\b(?=\w*\d)[\w-]{6,}\b|\d+(?:\.\d+)?")
"""Numbers, and identifiers of requests: what differs between two failures of one kind."""


@dataclass(frozen=True, slots=True)
class FailureCount:
    """An error's text, as it was first met, and how often its kind occurred."""

    error: str
    count: int


def failure_kind(error: str) -> str:
    """What all errors of a kind have in common."""
    return _VARYING.sub("#", error)


def count_failures(errors: Iterable[str]) -> tuple[FailureCount, ...]:
    """`errors` by kind, the most frequent first."""
    first: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for error in errors:
        kind = failure_kind(error)
        first.setdefault(kind, error)
        counts[kind] += 1
    return tuple(FailureCount(first[kind], count) for kind, count in counts.most_common())
