"""Python programs graded by unit tests, in the formats of HumanEval and MBPP.

Sources: HumanEval, Chen et al. 2021 (arXiv 2107.03374): `prompt`, `test` with a function `check`, `entry_point`; MBPP,
Austin et al. 2021 (arXiv 2108.07732): `text` or `prompt`, `test_list`, `test_setup_code`.
"""

from __future__ import annotations

from ace.config import FieldSettings, TaskSettings
from ace.tasks.builtin.program_text import complete_program, find_program
from ace.tasks.data.data_kind import Kind
from ace.tasks.data.record_files import Fields, json_kind
from ace.tasks.sandbox.sandbox import Limits, run_python
from ace.types import Observation, Sample, Score

_QUESTION_FIELDS = ("prompt", "text")
_TEST_FIELDS = ("test", "test_list")


class Program(Kind):
    """The answer is Python source; it is right where it runs through all tests in the sandbox (`ace.tasks.sandbox`).

    The score is the share of tests that pass where they are a list, else 0 or 1. A prompt that ends in an open function
    (HumanEval) is completed by an answer that does not define `entry_point` itself. Without labels the code is run
    without its tests, with those in the field `examples` if there are any.
    """

    fields = FieldSettings(question="prompt")
    instructions = "Answer with Python source alone: the whole function, with its imports."
    threads = True

    def __init__(self, settings: TaskSettings) -> None:
        self._limits = Limits(settings.code.timeout_s, settings.code.memory_mb)

    def sample(self, fields: FieldSettings, record: Fields, default_id: str) -> Sample:
        question = next(filter(None, map(record.text, (fields.question, *_QUESTION_FIELDS))), None)
        if question is None:
            raise record.error(fields.question, "missing: every sample needs a question")
        tests = next(filter(None, (_sources(record, name) for name in (fields.tests, *_TEST_FIELDS))), [])
        if not tests:
            raise record.error(fields.tests, "missing: every sample needs tests to be graded by")
        entry = record.text("entry_point")
        if entry is not None and any("def check(" in test for test in tests):
            tests = [f"{test}\ncheck({entry})" for test in tests]
        setup = record.text("test_setup_code") or ""
        identity = next(filter(None, map(record.text, (fields.id, "task_id"))), None) or default_id
        return Sample(
            identity.strip(),
            question,
            "\n\n".join(tests),
            metadata={
                "tests": tuple(tests),
                "setup": setup,
                "head": question if entry is not None else "",
                "entry_point": entry,
                "examples": tuple(_sources(record, "examples")),
            },
        )

    def grade(self, sample: Sample, target: str, answer: str) -> Score:
        code = _program(sample, answer)
        tests: tuple[str, ...] = sample.metadata["tests"]
        failures = []
        for test in tests:
            outcome = run_python(f"{code}\n\n{sample.metadata['setup']}\n{test}\n", self._limits)
            if not outcome.passed:
                failures.append(f"{test.strip()[:500]}\n{outcome.output[-1000:]}")
            if outcome.timed_out:
                break  # the rest would take as long
        passed = 0 if failures and outcome.timed_out else len(tests) - len(failures)
        if not failures:
            return Score(1.0, True, "all tests pass")
        return Score(
            passed / len(tests), False, f"{passed} of {len(tests)} tests pass. Failed:\n" + "\n\n".join(failures[:3])
        )

    def observe(self, sample: Sample, answer: str) -> Observation:
        examples: tuple[str, ...] = sample.metadata["examples"]
        code = _program(sample, answer)
        outcome = run_python("\n".join([code, sample.metadata["setup"], *examples]), self._limits)
        ran = "it ran to its end" if outcome.passed else "it did not run to its end"
        printed = f"; it printed:\n{outcome.output}" if outcome.output else ""
        if not outcome.passed:
            return Observation(ran + printed, failed=True)
        return Observation(ran + printed, failed=False if examples else None)


def _sources(record: Fields, field: str) -> list[str]:
    """Python texts: one, or a list of them."""
    value = record.value(field)
    if value is None:
        return []
    if isinstance(value, str):
        return [value] if value.strip() else []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise record.error(field, f"found {json_kind(value)}, allowed: a text, or a list of texts")
    return [item for item in value if item.strip()]


def _program(sample: Sample, answer: str) -> str:
    """The source in an answer, completed by the prompt where that ends in an open function."""
    code = find_program(answer)
    entry = sample.metadata["entry_point"]
    if entry and sample.metadata["head"]:
        return complete_program(code, sample.metadata["head"], entry)
    return code
