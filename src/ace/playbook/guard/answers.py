"""Answers copied from the training samples: a bullet that holds one teaches that sample, not the task.

A target of at least 16 characters and 3 words is no coincidence where it stands in a bullet word for word, case and
white space aside. A shorter one (a number, a label, a code word) says nothing on its own; it counts beside at least
four fifths of its question's words, of which there must be five. A target that another training sample shares is a
label, which playbooks rightly speak about.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

from ace.types import Sample

LONG: Final = 16
"""Characters from which on a target can stand for itself ..."""
WORDS: Final = 3
"""... if it has as many words as this."""
QUESTION_WORDS: Final = 5
QUESTION_SHARE: Final = 0.8

_WORD: Final = re.compile(r"\w+")
_FUNCTION_WORDS: Final = frozenset(
    _WORD.findall(
        "a an the this that these those it its is are was were be been do does did of to in on at for with and or as "
        "by what which who when where why how"
    )
)


def copied_answers(content: str, samples: Sequence[Sample], all_samples: Sequence[Sample] = ()) -> list[str]:
    """The ids of the `samples` whose answers `content` gives away. `all_samples` tell labels from answers."""
    folded = _fold(content)
    words = frozenset(_WORD.findall(folded))
    found = [sample for sample in samples if sample.target is not None and _gives_away(folded, words, sample)]
    return list(dict.fromkeys(sample.id for sample in found if not _is_label(sample, (*samples, *all_samples))))


def _gives_away(content: str, words: frozenset[str], sample: Sample) -> bool:
    target = _fold(sample.target or "")
    if not target or not _stands_in(target, content):
        return False
    if len(target) >= LONG and len(_WORD.findall(target)) >= WORDS:
        return True
    asked = frozenset(_WORD.findall(_fold(sample.question))) - _FUNCTION_WORDS - frozenset(_WORD.findall(target))
    return len(asked) >= QUESTION_WORDS and len(asked & words) >= QUESTION_SHARE * len(asked)


def _stands_in(target: str, content: str) -> bool:
    """Whether `target` stands in `content` between word boundaries, where it begins and ends with a word."""
    before = r"(?<!\w)" if target[0].isalnum() else ""
    after = r"(?!\w|[.,]\d)" if target[-1].isalnum() else ""
    return re.search(before + re.escape(target) + after, content) is not None


def _is_label(sample: Sample, samples: Sequence[Sample]) -> bool:
    target = _fold(sample.target or "")
    return any(other.id != sample.id and other.target and _fold(other.target) == target for other in samples)


def _fold(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
