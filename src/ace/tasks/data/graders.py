"""Graders: an answer against a target, as a share of right in [0, 1]."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from functools import partial

from ace.config import GraderName, TaskSettings
from ace.tasks.data.numbers_in_text import numbers, stated_answer
from ace.tasks.data.option_letters import option_letter
from ace.tasks.data.record_files import needs_data_extra
from ace.tasks.data.text_folding import normal_text, visible_text

Grader = Callable[[str, str], float]

_COMMA = re.compile("[,，、،﹐]")
_LINES = re.compile(r"\s*[;\n]\s*")
_LIST_MARK = re.compile(r"(?:[-*•]|\d+[.)])\s+")


def exact(answer: str, target: str) -> float:
    """The same text, white space around it and characters that nobody sees aside."""
    return float(visible_text(answer) == visible_text(target))


def normalized(answer: str, target: str) -> float:
    """The same text, case, white space, mark-up and punctuation around it aside, in any script (`normal_text`)."""
    return float(normal_text(answer) == normal_text(target))


def fuzzy(answer: str, target: str) -> float:
    """Similarity of the texts without case, white space and punctuation around them: 1 - edits / length (Indel).

    Right from `task.threshold` on. ProviderMissingError without rapidfuzz.
    """
    try:
        from rapidfuzz import fuzz
    except ImportError as error:
        raise needs_data_extra("the grader 'fuzzy'", "rapidfuzz") from error
    return float(fuzz.ratio(normal_text(answer), normal_text(target))) / 100


def contains(answer: str, target: str) -> float:
    """The target stands somewhere in the answer, case and white space aside."""
    expected = normal_text(target)
    return float(expected in normal_text(answer) if expected else target.strip() in answer)


def numeric(answer: str, target: str, *, tolerance: float = 0.0) -> float:
    """The same number, however it is written (`numbers`); `tolerance` is relative to the target.

    An answer that names several numbers is not right, unless it marks its result (`stated_answer`).
    """
    actual, expected = set(numbers(stated_answer(answer))), set(numbers(stated_answer(target)))
    if len(actual) != 1 or len(expected) != 1:
        return 0.0
    number, right = actual.pop(), expected.pop()
    return float(math.isclose(number, right, rel_tol=0.0, abs_tol=max(1e-9, tolerance * abs(right))))


def listed(answer: str, target: str) -> float:
    """Answers separated by commas, by position: the share that is right of as many as the target has.

    An answer may also be a JSON list or, where the target has several items and it has no comma, one item a line.
    """
    expected, actual = _items(target), _items(answer)
    if len(expected) > 1 and len(actual) == 1 and _LINES.search(answer.strip()):
        actual = [normal_text(_LIST_MARK.sub("", item, count=1)) for item in _LINES.split(answer.strip())]
    right = sum(a == b for a, b in zip(actual, expected, strict=False))
    return right / max(len(expected), len(actual))


def choice(answer: str, target: str) -> float:
    """The same option letter, however it is given (`option_letter`)."""
    return float(option_letter(answer) is not None and option_letter(answer) == option_letter(target))


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
    if name == "numeric" and len(set(numbers(stated_answer(target)))) != 1:
        return "exactly one number"
    if name == "choice" and option_letter(target) is None:
        return "an option letter such as B or (b)"
    if name == "regex":
        try:
            re.compile(target)
        except (re.error, RecursionError, OverflowError) as error:
            return f"a regular expression; this is none: {error}"
    return None


def _items(text: str) -> list[str]:
    """The items of a list, folded."""
    text = text.strip()
    if text.startswith("[") and text.endswith("]"):
        try:
            items = json.loads(text)
        except (ValueError, RecursionError):
            items = text[1:-1].split(",")
        return [normal_text(str(item)) for item in items]
    return [normal_text(item) for item in _COMMA.split(text)]
