"""Graders: an answer against a target, as a share of right in [0, 1]."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from functools import partial

from ace.config import TaskSettings

Grader = Callable[[str, str], float]

_NUMBER = re.compile(r"-?(?:\d[\d,]*(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?")


def exact(answer: str, target: str) -> float:
    """The same text, white space around it aside."""
    return float(answer.strip() == target.strip())


def normalized(answer: str, target: str) -> float:
    """The same text, case, white space and punctuation around it aside."""
    return float(_normal(answer) == _normal(target))


def contains(answer: str, target: str) -> float:
    """The target stands somewhere in the answer, case and white space aside."""
    return float(_normal(target) in _normal(answer))


def numeric(answer: str, target: str, *, tolerance: float = 0.0) -> float:
    """The same number: `$1,000`, `50%` and `1e3` are read; `tolerance` is relative to the target.

    An answer without exactly one number, or a target without any, is not right.
    """
    found, wanted = numbers(answer), numbers(target)
    if len(found) != 1 or len(wanted) != 1:
        return 0.0
    return float(math.isclose(found[0], wanted[0], rel_tol=tolerance, abs_tol=1e-9))


def listed(answer: str, target: str) -> float:
    """Comma-separated answers, by position: the share that is right of as many as the target has."""
    wanted = [_normal(item) for item in target.split(",")]
    given = [_normal(item) for item in answer.split(",")]
    right = sum(a == b for a, b in zip(given, wanted, strict=False))
    return right / max(len(wanted), len(given))


def choice(answer: str, target: str) -> float:
    """The same option letter: `B`, `(b)`, `B. text` and `Answer: B` are read."""
    return float(_letter(answer) is not None and _letter(answer) == _letter(target))


def regex(answer: str, target: str) -> float:
    """The whole answer matches the target, a regular expression."""
    return float(re.fullmatch(target, answer.strip()) is not None)


def grader(settings: TaskSettings) -> Grader:
    """The grader that the settings name."""
    graders: Mapping[str, Grader] = {
        "exact": exact,
        "normalized": normalized,
        "contains": contains,
        "numeric": partial(numeric, tolerance=settings.tolerance),
        "list": listed,
        "choice": choice,
        "regex": regex,
    }
    return graders[settings.grader]


def numbers(text: str) -> list[float]:
    """All numbers in `text`, a percentage as its number."""
    return [float(match.replace(",", "")) for match in _NUMBER.findall(text)]


def _normal(text: str) -> str:
    return " ".join(text.split()).strip(" .,;:!?\"'").casefold()


def _letter(text: str) -> str | None:
    match = re.fullmatch(
        r"\s*(?:answer\s*(?:is)?\s*:?\s*)?\(?([A-Za-z])\)?(?:[.):\s].*)?", text, re.IGNORECASE | re.DOTALL
    )
    return match.group(1).upper() if match else None
