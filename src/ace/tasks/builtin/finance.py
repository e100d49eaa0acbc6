"""FiNER and Formula: financial questions in the format of the original ACE release.

Source: the data sets of github.com/ace-agent/ace (Apache-2.0), made from FinLoRA (arXiv 2505.19819); FiNER itself is
Loukas et al., ACL 2022. Grading follows that release's `eval/finance/data_processor.py`, with the exceptions below.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ace.config import FieldSettings
from ace.tasks.data.data_kind import Kind, in_words
from ace.tasks.data.record_files import Fields
from ace.tasks.task import Graded
from ace.types import Observation, Sample, Score

_FIELDS = FieldSettings(question="context", context="context")
_QUESTIONS = re.compile(r"\s*(Answer the following (\d+) independent questions\b.*)\Z", re.DOTALL)
_OPTIONS = re.compile(r"\boptions:\s*([\w,\s]+?)\.\s*\Z")
_FORMULA = re.compile(r"Question:\s*(.*?)\.\s*Answer:\s*\Z", re.DOTALL)
_NUMBER = {"type": "string", "pattern": r"^-?[0-9]{1,18}(\.[0-9]{1,6})?$"}


class Finer(Kind):
    """Choosing a US GAAP tag for each of several questions; the answer is the tags with commas between them.

    Answers are compared by position, in lower case; those beyond the number of questions do not count, missing ones are
    wrong. A sample is right where all are; `answer_accuracy` counts single answers, as the paper does. On purpose
    different from the original: nothing of an answer is executed (it called `eval`), and a sample without an answer
    counts as wrong instead of leaving the denominator.
    """

    fields = _FIELDS

    def sample(self, fields: FieldSettings, record: Fields, default_id: str) -> Sample:
        text = record.required(fields.question, "every sample needs its instruction and questions")
        target = record.required(fields.target, "every sample needs its tags")
        parts = _QUESTIONS.search(text)
        shared = text[: parts.start()].strip() if parts else ""
        options = _OPTIONS.search(shared)
        return Sample(
            (record.text(fields.id) or default_id).strip(),
            parts.group(1).strip() if parts else text.strip(),
            target,
            shared,
            {
                "questions": int(parts.group(2)) if parts else None,
                "options": tuple(filter(None, (o.strip() for o in options.group(1).split(",")))) if options else (),
            },
        )

    def grade(self, sample: Sample, target: str, answer: str) -> Score:
        expected = _items(target)
        predicted = _padded(_items(answer), len(expected))
        wrong = [
            f"answer {number} is {repr(mine) if mine else 'missing'}, expected {right!r}"
            for number, (mine, right) in enumerate(zip(predicted, _items(target, fold=False), strict=True), 1)
            if not _same(mine, right.lower())
        ]
        value = 1.0 - len(wrong) / len(expected)
        return Score(
            value, not wrong, "correct" if not wrong else f"{len(wrong)} of {len(expected)} wrong: {'; '.join(wrong)}"
        )

    def observe(self, sample: Sample, answer: str) -> Observation:
        items = _items(answer, fold=False) if answer.strip() else []
        questions = sample.metadata["questions"]
        options = {option.lower() for option in sample.metadata["options"]}
        problems = []
        if questions is not None and len(items) != questions:
            problems.append(f"{len(items)} answers to {questions} questions")
        problems += [
            f"{item!r} is none of the tags to choose from" for item in items if options and item.lower() not in options
        ]
        return in_words(problems)

    def answer_schema(self, sample: Sample) -> Mapping[str, Any] | None:
        """As many of the tags to choose from as there are questions."""
        questions, options = sample.metadata["questions"], sample.metadata["options"]
        if not questions or not options:
            return None
        tag = f"({'|'.join(map(re.escape, options))})"
        return {"type": "string", "pattern": f"^{tag}(,{tag}){{{questions - 1}}}$"}

    def same(self, sample: Sample, one: str, other: str) -> bool:
        return _items(one) == _items(other)

    def metrics(self, graded: Graded) -> Mapping[str, float]:
        right = total = 0
        for sample, answer in graded:
            expected = _items(sample.target or "")
            total += len(expected)
            if answer is not None:
                right += sum(map(_same, _padded(_items(answer), len(expected)), expected))
        return {"answer_accuracy": right / total} if total else {}


class Formula(Kind):
    """A number worked out with a financial formula that the model has to know.

    As in the original release, the formula itself is not shown. An answer is right where it is the same number, commas
    aside, or the same text.
    """

    fields = _FIELDS
    instructions = (
        "Answer with a plain floating point number alone, rounded to two decimals if necessary. "
        "Write amounts in thousands or millions out in full."
    )

    def sample(self, fields: FieldSettings, record: Fields, default_id: str) -> Sample:
        text = record.required(fields.question, "every sample needs its instruction and question")
        target = record.required(fields.target, "every sample needs its number")
        match = _FORMULA.search(text)
        question = match.group(1).strip() if match else text.strip()
        if len(question) > 1 and question.startswith('"') and question.endswith('"'):
            question = question[1:-1]
        identity = (record.text(fields.id) or default_id).strip()
        return Sample(identity, question, target)

    def grade(self, sample: Sample, target: str, answer: str) -> Score:
        one, other = answer.replace(",", ""), target.replace(",", "")
        number, expected = _number(one), _number(other)
        correct = one.strip() == other.strip() if number is None or expected is None else number == expected
        return Score(float(correct), correct, "correct" if correct else f"wrong; expected: {target}")

    def observe(self, sample: Sample, answer: str) -> Observation:
        return in_words([] if _number(answer.replace(",", "")) is not None else [f"{answer!r} is no plain number"])

    def answer_schema(self, sample: Sample) -> Mapping[str, Any]:
        return _NUMBER

    def same(self, sample: Sample, one: str, other: str) -> bool:
        number = _number(one.replace(",", ""))
        return number is not None and number == _number(other.replace(",", ""))


def _items(text: str, *, fold: bool = True) -> list[str]:
    items = [item.strip() for item in text.split(",")]
    return [item.lower() for item in items] if fold else items


def _padded(items: list[str], size: int) -> list[str]:
    return (items + [""] * size)[:size]


def _same(answer: str, expected: str) -> bool:
    """The same text, or the same number: `2` is `2.0`, and `$2` is too."""
    if answer == expected:
        return True
    number, other = _number(answer.replace("$", "")), _number(expected)
    return number is not None and number == other


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
