"""Counts of the errors of a run, by kind."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

_VARYING = re.compile(r"\b(?=\w*\d)[\w-]{6,}\b|\d+(?:\.\d+)?")
"""Numbers and identifiers of requests, which differ between errors of one kind."""


@dataclass(frozen=True, slots=True)
class FailureCount:
    """The first error of a kind, and the number of errors of that kind."""

    error: str
    count: int


def failure_kind(error: str) -> str:
    """Reduce an error to its kind: the text without varying parts."""
    return _VARYING.sub("#", error)


def count_failures(errors: Iterable[str]) -> tuple[FailureCount, ...]:
    """Count `errors` by kind, the most frequent first."""
    first: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for error in errors:
        kind = failure_kind(error)
        first.setdefault(kind, error)
        counts[kind] += 1
    return tuple(FailureCount(first[kind], count) for kind, count in counts.most_common())
