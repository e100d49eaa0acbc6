"""Numeric reasoning in the format of GSM8K, and multiple choice.

Sources: GSM8K, Cobbe et al. 2021 (arXiv 2110.14168). Multiple choice reads the formats of MMLU (arXiv 2009.03300:
a list of choices and the index of the right one) and ARC (arXiv 1803.05457: `text` and `label`, and an answer key).
"""

from __future__ import annotations

import json
import math
import re
import string
from collections.abc import Iterable, Mapping
from typing import Any

from ace.config import FieldSettings
from ace.tasks.data.data_kind import Kind, in_words
from ace.tasks.data.numbers_in_text import numbers, stated_answer
from ace.tasks.data.option_letters import option_letter
from ace.tasks.data.record_files import Fields, json_kind
from ace.tasks.data.text_folding import normal_text
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
        result = _result(answer)
        correct = bool(result) and math.isclose(result[0], numbers(target)[0], rel_tol=0.0, abs_tol=1e-9)
        return Score(float(correct), correct, "correct" if correct else f"wrong; expected: {target}")

    def observe(self, sample: Sample, answer: str) -> Observation:
        return in_words([] if _result(answer) else [f"there is no number in {answer!r}"])

    def same(self, sample: Sample, one: str, other: str) -> bool:
        return _result(one) == _result(other)


def _result(answer: str) -> list[float]:
    """The last number of what an answer gives as its result; of all of it where that has none."""
    return (numbers(stated_answer(answer)) or numbers(answer))[-1:]


class MultipleChoice(Kind):
    """A question with lettered options; the answer is a letter, or the text of one option.

    The choices are a list, an object with `text` (and `label`), or the columns A, B, C...; the target is a letter, the
    index of a choice (from 0), or a choice's text. A target that can be read in two ways which differ is refused, but a
    text among choices of a list is that choice: JSON tells a text from an index.
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
            {"options": tuple(options), "texts": tuple(options.values())},
        )

    def grade(self, sample: Sample, target: str, answer: str) -> Score:
        correct = _chosen(sample, answer) == option_letter(target)
        return Score(float(correct), correct, "correct" if correct else f"wrong; expected: {target}")

    def observe(self, sample: Sample, answer: str) -> Observation:
        options: tuple[str, ...] = sample.metadata["options"]
        fits = _chosen(sample, answer) is not None
        return in_words([] if fits else [f"{answer!r} is none of the letters {', '.join(options)}"])

    def same(self, sample: Sample, one: str, other: str) -> bool:
        chosen = _chosen(sample, one)
        return chosen is not None and chosen == _chosen(sample, other)


def _chosen(sample: Sample, answer: str) -> str | None:
    """The option that an answer names by its letter, else by its whole text."""
    options: tuple[str, ...] = sample.metadata["options"]
    letter = option_letter(answer)
    if letter in options:
        return letter
    stated = normal_text(stated_answer(answer))
    texts = [key for key, text in zip(options, sample.metadata["texts"], strict=True) if normal_text(text) == stated]
    return texts[0] if len(texts) == 1 else None


def _options(fields: FieldSettings, record: Fields) -> dict[str, str]:
    """The options by letter."""
    choices = _choices(fields, record)
    if isinstance(choices, Mapping):
        choices = choices.get("text")
    if choices is None:
        choices = [text for letter in string.ascii_uppercase if (text := record.text(letter)) is not None]
    if not isinstance(choices, list) or not 2 <= len(choices) <= 26:
        description = f"{len(choices)} choices" if isinstance(choices, list) else json_kind(choices)
        raise record.error(fields.choices, f"found {description}, allowed: a list of 2 to 26, or columns A, B, C...")
    return {letter: " ".join(str(text).split()) for letter, text in zip(string.ascii_uppercase, choices, strict=False)}


def _choices(fields: FieldSettings, record: Fields) -> Any:
    """The field's value; of a table's cell that holds JSON, what that says."""
    value = record.value(fields.choices)
    if isinstance(value, str) and value.lstrip().startswith(("[", "{")):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _target(fields: FieldSettings, record: Fields, options: Mapping[str, str]) -> str:
    """The letter of the right option."""
    target = record.required(fields.target, "every sample needs an answer").strip()
    choices = _choices(fields, record)
    if isinstance(choices, Mapping) and target in (labels := list(map(str, choices.get("label") or ()))):
        return list(options)[labels.index(target)]
    folded = " ".join(target.split())
    readings = {
        "a letter": _only(letter for letter in options if letter == target.upper().strip("()[].: ")),
        "an index from 0": _index(target, options),
        "the text of a choice": _only(letter for letter, text in options.items() if text == folded),
    }
    if (
        readings["an index from 0"]
        and readings["the text of a choice"]
        and (meant := _typed_reading(fields, record)) is not None
    ):
        readings = {meant: readings[meant]}
    readings_by_name = {name: letter for name, letter in readings.items() if letter is not None}
    if len(set(readings_by_name.values())) == 1:
        return next(iter(readings_by_name.values()))
    if readings_by_name:
        several = ", ".join(f"{name} ({letter}: {options[letter][:40]!r})" for name, letter in readings_by_name.items())
        raise record.error(fields.target, f"found {target[:80]!r}, which can be {several}; allowed: a letter")
    allowed = f"one of {', '.join(options)}, an index from 0, or the text of a choice"
    raise record.error(fields.target, f"found {target[:80]!r}, allowed: {allowed}")


def _typed_reading(fields: FieldSettings, record: Fields) -> str | None:
    """Resolve a target among choices of a JSON list of texts: a text is one of them, a number their index."""
    choices = record.value(fields.choices)
    if not isinstance(choices, list) or not all(isinstance(choice, str) for choice in choices):
        return None
    return "the text of a choice" if isinstance(record.value(fields.target), str) else "an index from 0"


def _index(target: str, options: Mapping[str, str]) -> str | None:
    """The option of an index, which tables of numbers may write as `2.0`."""
    number = target.removesuffix(".0")
    return list(options)[int(number)] if number.isdecimal() and len(number) < 4 and int(number) < len(options) else None


def _only(letters: Iterable[str]) -> str | None:
    """The only one, None where there are none or several."""
    distinct = list(letters)
    return distinct[0] if len(distinct) == 1 else None
