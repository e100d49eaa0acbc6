"""Numeric reasoning in the format of GSM8K, and multiple choice.

Sources: GSM8K, Cobbe et al. 2021 (arXiv 2110.14168). Multiple choice reads the formats of MMLU (arXiv 2009.03300:
a list of choices and the index of the right one) and ARC (arXiv 1803.05457: `text` and `label`, and an answer key).
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping

from ace.config import FieldSettings
from ace.tasks.data.data_kind import Kind, in_words
from ace.tasks.data.graders import choice, numbers
from ace.tasks.data.record_files import Fields, json_kind
from ace.types import Observation, Sample, Score

_FINAL = re.compile(r"####\s*(.+?)\s*\Z")


class Gsm8k(Kind):
    """Word problems with a number as answer. The answer's last number counts, as is usual for this data set.

    A target `... #### 42` is 42; the working before it is not shown to any role.
    """

    fields = FieldSettings(target="answer")
    instructions = "Answer with the number alone, without a unit."

    def sample(self, fields: FieldSettings, record: Fields, default_id: str) -> Sample:
        question = record.required(fields.question, "every sample needs a question")
        whole = record.required(fields.target, "every sample needs an answer")
        final = _FINAL.search(whole)
        target = (final.group(1) if final else whole).strip()
        if len(numbers(target)) != 1:
            raise record.error(fields.target, f"found {target[:80]!r}, allowed: a number, alone or after ####")
        return Sample((record.text(fields.id) or default_id).strip(), question, target)

    def grade(self, sample: Sample, target: str, answer: str) -> Score:
        found = numbers(answer)
        correct = bool(found) and abs(found[-1] - numbers(target)[0]) < 1e-9
        return Score(float(correct), correct, "correct" if correct else f"wrong; expected: {target}")

    def observe(self, sample: Sample, answer: str) -> Observation:
        return in_words([] if numbers(answer) else [f"there is no number in {answer!r}"])

    def same(self, sample: Sample, one: str, other: str) -> bool:
        return numbers(one)[-1:] == numbers(other)[-1:]


class MultipleChoice(Kind):
    """A question with lettered options; the answer is a letter.

    The choices are a list, an object with `text` (and `label`), or the columns A, B, C...; the target is a letter, the
    index of a choice (from 0), or a choice's text.
    """

    fields = FieldSettings(target="answer")
    instructions = "Answer with the letter of the right option alone."

    def sample(self, fields: FieldSettings, record: Fields, default_id: str) -> Sample:
        question = record.required(fields.question, "every sample needs a question")
        options = _options(fields, record)
        letter = _target(fields, record, options)
        lines = [f"{key}. {text}" for key, text in options.items()]
        context = record.text(fields.context) if fields.context != fields.question else None
        return Sample(
            (record.text(fields.id) or default_id).strip(),
            "\n".join([question, *lines]),
            letter,
            context or "",
            {"options": tuple(options)},
        )

    def grade(self, sample: Sample, target: str, answer: str) -> Score:
        value = choice(answer, target)
        return Score(value, value == 1.0, "correct" if value == 1.0 else f"wrong; expected: {target}")

    def observe(self, sample: Sample, answer: str) -> Observation:
        options: tuple[str, ...] = sample.metadata["options"]
        fits = any(choice(answer, letter) for letter in options)
        return in_words([] if fits else [f"{answer!r} is none of the letters {', '.join(options)}"])

    def same(self, sample: Sample, one: str, other: str) -> bool:
        return any(choice(one, letter) and choice(other, letter) for letter in sample.metadata["options"])


def _options(fields: FieldSettings, record: Fields) -> dict[str, str]:
    """The options by letter."""
    given = record.value(fields.choices)
    if isinstance(given, Mapping):
        given = given.get("text")
    if given is None:
        given = [text for letter in string.ascii_uppercase if (text := record.text(letter)) is not None]
    if not isinstance(given, list) or not 2 <= len(given) <= 26:
        found = f"{len(given)} choices" if isinstance(given, list) else json_kind(given)
        raise record.error(fields.choices, f"found {found}, allowed: a list of 2 to 26, or columns A, B, C...")
    return {letter: " ".join(str(text).split()) for letter, text in zip(string.ascii_uppercase, given, strict=False)}


def _target(fields: FieldSettings, record: Fields, options: Mapping[str, str]) -> str:
    target = record.required(fields.target, "every sample needs an answer").strip()
    labels = record.value(fields.choices)
    if isinstance(labels, Mapping) and target in (listed := list(map(str, labels.get("label") or ()))):
        return list(options)[listed.index(target)]
    if target.upper() in options:
        return target.upper()
    if target.isdecimal() and int(target) < len(options):
        return list(options)[int(target)]
    texts = [letter for letter, text in options.items() if text == " ".join(target.split())]
    if len(texts) == 1:
        return texts[0]
    allowed = f"one of {', '.join(options)}, an index from 0, or the text of a choice"
    raise record.error(fields.target, f"found {target[:80]!r}, allowed: {allowed}")
