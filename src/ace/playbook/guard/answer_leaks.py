"""Answers of training samples that a bullet repeats: it would teach one sample, not the task.

A target of at least 16 characters and 3 words is no coincidence where a bullet has it word for word, case and
white space aside; unless another training sample has the same target: then it is a label, which playbooks rightly
speak about. A shorter target (a number, a label, a code word) says nothing on its own. It counts where its question
stands beside it: at least four fifths of the question's words, of which there must be five; or eight of them in a row
that no other training sample has, so that a question in a form that all samples share is found by what is its own.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final

from ace.types import Sample

LONG: Final = 16
"""Least characters of a target that is found by itself ..."""
WORDS: Final = 3
"""... if it has as many words as this."""
QUESTION_WORDS: Final = 5
QUESTION_SHARE: Final = 0.8
RUN: Final = 8
"""Words in a row that are no coincidence."""

_WORD: Final = re.compile(r"\w+(?:[.,]\w+)*")
_FUNCTION_WORDS: Final = frozenset(
    _WORD.findall(
        "a an the this that these those it its is are was were be been do does did of to in on at for with and or as "
        "by what which who when where why how"
    )
)


def copied_answers(content: str, samples: Sequence[Sample], all_samples: Sequence[Sample] = ()) -> list[str]:
    """The ids of the `samples` whose answers `content` gives away. `all_samples` tell what is common from copies."""
    text = _fold(content)
    leaks = []
    for sample in samples:
        target = _fold(sample.target or "")
        if target and _stands_in(target, text):
            others = [other for other in (*samples, *all_samples) if other.id != sample.id]
            if (_is_long(target) and not _is_label(target, others)) or _repeats_question(text, sample, target, others):
                leaks.append(sample.id)
    return list(dict.fromkeys(leaks))


def _stands_in(target: str, text: str) -> bool:
    """Return True if `target` occurs in `text` between word boundaries, where it begins and ends with a word."""
    if target not in text:  # nearly always, and found out without compiling a pattern
        return False
    before = r"(?<!\w)(?<!\d[.,])" if target[0].isalnum() else ""
    after = r"(?!\w|[.,]\d)" if target[-1].isalnum() else ""
    return re.search(before + re.escape(target) + after, text) is not None


def _is_long(target: str) -> bool:
    return len(target) >= LONG and len(re.findall(r"\w+", target)) >= WORDS


def _is_label(target: str, others: Sequence[Sample]) -> bool:
    return any(other.target is not None and _fold(other.target) == target for other in others)


def _repeats_question(text: str, sample: Sample, target: str, others: Sequence[Sample]) -> bool:
    words, question_words = _WORD.findall(text), _words_of(sample)
    own = set(question_words) - _FUNCTION_WORDS - set(_WORD.findall(target))
    if len(own) >= QUESTION_WORDS and len(own.intersection(words)) >= QUESTION_SHARE * len(own):
        return True
    shared = set(_runs(question_words)).intersection(_runs(words))
    for other in others if shared else ():
        shared.difference_update(_runs(_words_of(other)))
        if not shared:
            break
    return bool(shared)


def _runs(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    return (tuple(words[start : start + RUN]) for start in range(len(words) - RUN + 1))


def _words_of(sample: Sample) -> list[str]:
    """The words of the question; of the context where that has all of it."""
    return _WORD.findall(_fold(sample.question or sample.context))


def _fold(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
