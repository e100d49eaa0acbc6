"""Graders: an answer against a target, as a share of right in [0, 1]."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from functools import partial

from ace.config import GraderName, TaskSettings
from ace.tasks.data.record_files import needs_data_extra

Grader = Callable[[str, str], float]

_NUMBER = re.compile(r"([-−]?)[$€£¥]?([-−]?)((?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)((?:[eE][-+]?\d+)?)")
_CHOICE = re.compile(r"\s*(?:answer(?:\s+is)?\s*:?\s*)?(?:\(([A-Z])\)|([A-Z])(?=[.):]|\s*$))", re.IGNORECASE)


def exact(answer: str, target: str) -> float:
    """The same text, white space around it aside."""
    return float(answer.strip() == target.strip())


def normalized(answer: str, target: str) -> float:
    """The same text, case, white space and punctuation around it aside."""
    return float(_normal(answer) == _normal(target))


def fuzzy(answer: str, target: str) -> float:
    """How alike the texts are, case, white space and punctuation around them aside: 1 - edits / length (Indel).

    Right from `task.threshold` on. ProviderMissingError without rapidfuzz.
    """
    try:
        from rapidfuzz import fuzz
    except ImportError as error:
        raise needs_data_extra("the grader 'fuzzy'", "rapidfuzz") from error
    return float(fuzz.ratio(_normal(answer), _normal(target))) / 100


def contains(answer: str, target: str) -> float:
    """The target stands somewhere in the answer, case and white space aside."""
    wanted = _normal(target)
    return float(wanted in _normal(answer) if wanted else target.strip() in answer)


def numeric(answer: str, target: str, *, tolerance: float = 0.0) -> float:
    """The same number: `$1,000`, `50%` (as 50) and `1e3` are read; `tolerance` is relative to the target.

    An answer without exactly one number is not right.
    """
    found, wanted = numbers(answer), numbers(target)
    if len(found) != 1 or len(wanted) != 1:
        return 0.0
    return float(math.isclose(found[0], wanted[0], rel_tol=0.0, abs_tol=max(1e-9, tolerance * abs(wanted[0]))))


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
        "fuzzy": fuzzy,
        "contains": contains,
        "numeric": partial(numeric, tolerance=settings.tolerance),
        "list": listed,
        "choice": choice,
        "regex": regex,
    }
    return graders[settings.grader]


def unfit_target(name: GraderName, target: str) -> str | None:
    """Why the grader could never find an answer right by `target`; None where it can."""
    if name == "numeric" and len(numbers(target)) != 1:
        return "exactly one number"
    if name == "choice" and _letter(target) is None:
        return "an option letter such as B or (b)"
    if name == "regex":
        try:
            re.compile(target)
        except (re.error, RecursionError, OverflowError) as error:
            return f"a regular expression; this is none: {error}"
    return None


def numbers(text: str) -> list[float]:
    """All finite numbers in `text`, a percentage as its number."""
    found = []
    for before, after, digits, exponent in _NUMBER.findall(text):
        number = float(digits.replace(",", "") + exponent)
        found.append(-number if before or after else number)
    return [number for number in found if math.isfinite(number)]


def _normal(text: str) -> str:
    return " ".join(text.split()).strip(" .,;:!?\"'").casefold()


def _letter(text: str) -> str | None:
    match = _CHOICE.match(text)
    return (match.group(1) or match.group(2)).upper() if match else None
