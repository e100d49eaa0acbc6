"""The built-in tasks: what their records become, and how answers are graded, observed and measured."""

from __future__ import annotations

import json
import os
import random
import re
from pathlib import Path
from typing import Any, ClassVar

import pytest
from finance_release import finer_accuracy, finer_right, formula_right

from ace.config import TaskSettings
from ace.errors import ConfigError, DataError
from ace.tasks import load_task
from ace.tasks.builtin import KINDS
from ace.tasks.builtin.entities import entity_scores
from ace.tasks.data.data_task import DataTask
from ace.types import Sample

SHARED = Path(os.environ.get("ACE_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data")) / "finance"
OWN = [name for name in KINDS if name not in ("jsonl", "csv", "parquet", "hf")]
shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the real data is not there")


def load(name: str, **settings: Any) -> DataTask:
    task = load_task(TaskSettings.model_validate({"name": name, **settings}))
    assert isinstance(task, DataTask)
    return task


def optional(task: DataTask) -> Any:
    """The object that has the task's optional methods."""
    return task.kind


def of(folder: Path, name: str, *records: Any, **settings: Any) -> DataTask:
    path = folder / "data.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return load(name, test=str(path), **settings)


def everything(task: DataTask) -> list[Sample]:
    return [*task.splits.train, *task.splits.validation, *task.splits.test]


RIGHT = {
    "code": {
        "add": "def add(a, b): return a + b",
        "double": "def double(text): return text * 2",
        "largest": "def largest(numbers): return max(numbers, default=None)",
        "vowels": "def vowels(text): return sum(c in 'aeiou' for c in text)",
        "evens": "def evens(numbers): return [n for n in numbers if n % 2 == 0]",
        "factorial": "import math\ndef factorial(n): return math.factorial(n)",
        "is_palindrome": "def is_palindrome(t): return t.lower() == t.lower()[::-1]",
        "flatten": "def flatten(lists): return [x for part in lists for x in part]",
        "words": "def words(text): return len(text.split())",
        "clamp": "def clamp(x, low, high): return max(low, min(high, x))",
    }
}


class TestSamples:
    @pytest.mark.parametrize("name", OWN)
    def test_each_task_brings_one_that_a_perfect_answer_solves(self, name: str) -> None:
        task = load(name, path="sample")
        samples = everything(task)
        assert len(samples) == 10
        for sample in samples:
            answer = RIGHT[name][sample.id] if name in RIGHT else sample.target
            assert answer is not None
            score = task.grade(sample, answer)
            assert (score.value, score.correct) == (1.0, True), sample
            assert optional(task).observe(sample, answer).failed is not True
            assert not task.grade(sample, "no such answer").correct
            question, _ = task.prompt(sample)
            assert sample.target not in (None, question)

    @pytest.mark.parametrize("name", OWN)
    def test_targets_of_others_are_mostly_wrong(self, name: str) -> None:
        task = load(name, path="sample")
        samples = everything(task)
        if name == "code":
            pytest.skip("its targets are tests, not answers")
        right = sum(
            task.grade(sample, other.target or "").correct
            for sample, other in zip(samples, samples[1:] + samples[:1], strict=True)
        )
        assert right <= (5 if name == "multiple_choice" else 2)  # there are few letters

    def test_plain_files_bring_none(self) -> None:
        with pytest.raises(DataError, match="no such data file"):
            load("jsonl", path="sample")


class TestFinance:
    TAGS = ("Revenues", "Goodwill", "LongTermDebt", "2.0", "2", "$2", "", " goodwill ", "GOODWILL", "x")

    def test_finer_agrees_with_the_original_release(self, tmp_path: Path) -> None:
        rng = random.Random(5)
        task = of(tmp_path, "finer", {"context": "q", "target": "t"})
        pairs = []
        for _ in range(3000):
            target = ",".join(rng.choice(self.TAGS[:5]) for _ in range(rng.randint(1, 4)))
            answer = ",".join(rng.choice(self.TAGS) for _ in range(rng.randint(1, 5)))
            pairs.append((answer, target))
            assert task.grade(Sample("s", "q", target), answer).correct == finer_right(answer, target), (answer, target)
        graded = [(Sample("s", "q", target), answer) for answer, target in pairs]
        theirs = finer_accuracy([answer for answer, _ in pairs], [target for _, target in pairs])
        assert optional(task).metrics(graded)["answer_accuracy"] == pytest.approx(theirs)

    def test_formula_agrees_with_the_original_release(self, tmp_path: Path) -> None:
        task = of(tmp_path, "formula", {"context": "q", "target": "2"})
        texts = ("2", "2.0", " 2.00 ", "2,000", "2000", "$2", "two", "", "1e3", "1000.0", "nan", "-0.0", "0", "2 %")
        for answer in texts:
            for target in texts[:5] + texts[8:10]:
                assert task.grade(Sample("s", "q", target), answer).correct == formula_right(answer, target)

    def test_a_failed_call_stays_in_the_denominator(self, tmp_path: Path) -> None:
        """On purpose not what the original does."""
        task = of(tmp_path, "finer", {"context": "q", "target": "t"})
        graded = [(Sample("a", "q", "Revenues,Goodwill"), "Revenues,Goodwill"), (Sample("b", "q", "Revenues,X"), None)]
        assert optional(task).metrics(graded) == {"answer_accuracy": 0.5}

    def test_an_answer_is_never_executed(self, tmp_path: Path) -> None:
        task = of(tmp_path, "finer", {"context": "q", "target": "2"})
        assert not task.grade(Sample("s", "q", "2"), "1+1").correct

    def test_finer_shares_its_options_as_context(self) -> None:
        task = load("finer", path="sample")
        prompts = [task.prompt(sample) for sample in everything(task)]
        assert len({context for _, context in prompts}) == 1
        assert all(question.startswith("Answer the following 2 independent questions") for question, _ in prompts)

    @pytest.mark.parametrize("name", ["finer", "formula"])
    def test_guided_answers_can_be_right_and_have_an_end(self, name: str) -> None:
        task = load(name, path="sample")
        for sample in everything(task):
            pattern = optional(task).answer_schema(sample.without_target())["pattern"]
            assert sample.target is not None and re.search(pattern, sample.target)
            assert not re.search(pattern, sample.target + ".0" * 20) and not re.search(
                pattern, "about " + sample.target
            )

    def test_no_question_of_formula_has_a_number_of_ours(self) -> None:
        task = load("formula", path="sample")
        assert "floating point" in task.instructions and not re.search(r"\d", task.instructions)

    @pytest.mark.parametrize(
        ("answer", "text"),
        [
            ("Revenues", "1 answers to 2 questions"),
            ("Revenues,Nothing", "'Nothing' is none of the tags to choose from"),
            ("Revenues,goodwill", ""),
        ],
    )
    def test_the_form_of_tags_is_observed(self, answer: str, text: str) -> None:
        task = load("finer", path="sample")
        seen = optional(task).observe(task.splits.test[0], answer)
        assert (seen.text, seen.failed) == (text, True if text else None)

    @shared
    @pytest.mark.parametrize(
        ("name", "file", "size"),
        [("formula", "formula_train", 500), ("formula", "formula_val", 300), ("finer", "finer_val", 120)],
    )
    def test_real_files(self, name: str, file: str, size: int) -> None:
        task = load(name, test=str(SHARED / f"{file}.jsonl"))
        samples = task.splits.test
        assert len(samples) == size
        assert all(task.grade(sample, sample.target or "").correct for sample in samples)
        shuffled = [sample.target for sample in samples]
        random.Random(1).shuffle(shuffled)
        scores = [task.grade(s, answer or "").value for s, answer in zip(samples, shuffled, strict=True)]
        assert sum(scores) / size < 0.1
        if name == "finer":
            assert len({task.prompt(sample)[1] for sample in samples}) == 1
            assert all(optional(task).observe(sample, sample.target or "").failed is None for sample in samples)
            assert optional(task).metrics([(s, s.target) for s in samples]) == {"answer_accuracy": 1.0}
        else:
            assert not any("formula" in task.prompt(sample)[0].split("?")[0].lower()[:12] for sample in samples)


class TestEntities:
    def test_scores_are_those_of_conll(self) -> None:
        wanted = [["B-PER", "I-PER", "O", "B-LOC"], ["O", "B-ORG"]]
        given = [["B-PER", "O", "O", "B-LOC"], ["O", "O"]]
        scores = entity_scores(wanted, given)
        assert scores["token_accuracy"] == pytest.approx(4 / 6)
        assert scores["span_f1"] == pytest.approx(2 * 1 / (2 + 3))
        assert scores["micro_f1"] == pytest.approx(2 * 2 / (4 + 2))
        assert (scores["LOC_f1"], scores["PER_f1"], scores["ORG_recall"]) == (1.0, 0.0, 0.0)

    def test_nothing_to_find_and_nothing_found(self) -> None:
        assert entity_scores([["O", "O"]], [["O", "O"]]) == {"token_accuracy": 1.0, "micro_f1": 1.0, "span_f1": 1.0}

    def test_an_answer_of_another_length(self) -> None:
        task = load("finer_ord", path="sample")
        sample = next(s for s in everything(task) if s.target == "O O O")
        assert task.grade(sample, "O").correct  # what is missing is outside
        assert optional(task).observe(sample, "O").failed is True
        assert task.grade(sample, "O O O B-PER").correct

    @pytest.mark.parametrize("answer", ["O,O,O", "['O', 'O', 'O']", "O\nO\nO", ' "O" "O" "O" '])
    def test_lists_in_other_dress(self, answer: str) -> None:
        task = load("finer_ord", path="sample")
        sample = next(s for s in everything(task) if s.target == "O O O")
        assert task.grade(sample, answer).correct

    def test_bio_consistency_is_observed(self) -> None:
        task = load("finer_ord", path="sample")
        sample = next(s for s in everything(task) if s.target == "O O O")
        assert "continues nothing" in optional(task).observe(sample, "O I-PER O").text
        assert "continues nothing" in optional(task).observe(sample, "B-LOC I-PER O").text
        assert optional(task).observe(sample, "B-PER I-PER I-PER").failed is None

    def test_failed_samples_are_measured_as_outside(self) -> None:
        task = load("finer_ord", path="sample")
        samples = everything(task)
        assert optional(task).metrics([(sample, sample.target) for sample in samples])["span_f1"] == 1.0
        assert optional(task).metrics([(sample, None) for sample in samples])["span_f1"] == 0.0

    def test_one_token_a_row_as_the_data_set_is_published(self, tmp_path: Path) -> None:
        path = tmp_path / "ord.csv"
        path.write_text("gold_label,gold_token,doc_idx,sent_idx\n5,Tern,0,0\n6,Labs,0,0\n0,grew,0,0\n1,Ida,0,1\n")
        samples = load("finer_ord", test=str(path)).splits.test
        assert [(s.id, s.target) for s in samples] == [("0-0", "B-ORG I-ORG O"), ("0-1", "B-PER")]

    @pytest.mark.parametrize(
        ("record", "message"),
        [
            ({"tokens": ["a", "b"], "ner_tags": [0]}, "1 tags for 2 tokens"),
            ({"tokens": ["a"], "ner_tags": [9]}, "found the tag 9, allowed: O, B-... or I-..., or a number up to 6"),
            ({"tokens": [], "ner_tags": []}, "found an empty list"),
            ({"tokens": [""], "ner_tags": [0]}, "found the token ''"),
            ({"tokens": {"a": 1}, "ner_tags": [0]}, "found an object"),
        ],
    )
    def test_what_is_no_record(self, tmp_path: Path, record: Any, message: str) -> None:
        with pytest.raises(DataError, match=message) as caught:
            of(tmp_path, "finer_ord", record)
        assert caught.value.facts["line"] == 1

    def test_numbers_without_names_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"allowed: O, B-\.\.\. or I-\.\.\.$"):
            of(tmp_path, "finer_139", {"tokens": ["a"], "ner_tags": [3]})


class TestReasoning:
    @pytest.mark.parametrize("answer", ["53", "53.0", "She sells 53 loaves", "60 - 7 = 53"])
    def test_the_last_number_counts(self, answer: str) -> None:
        task = load("gsm8k", path="sample")
        sample = next(s for s in everything(task) if s.target == "53")
        assert task.grade(sample, answer).correct
        assert optional(task).same(sample, answer, "53")

    def test_the_working_is_not_part_of_the_target(self) -> None:
        assert all("=" not in (sample.target or "") for sample in everything(load("gsm8k", path="sample")))

    @pytest.mark.parametrize(
        "record",
        [
            {"question": "q", "choices": ["x", "y"], "answer": 1},
            {"question": "q", "choices": ["x", "y"], "answer": "B"},
            {"question": "q", "choices": ["x", "y"], "answer": "y"},
            {"question": "q", "choices": {"text": ["x", "y"], "label": ["1", "2"]}, "answer": "2"},
            {"question": "q", "A": "x", "B": "y", "answer": "b"},
        ],
    )
    def test_the_formats_of_multiple_choice(self, tmp_path: Path, record: Any) -> None:
        task = of(tmp_path, "multiple_choice", record)
        (sample,) = task.splits.test
        assert (sample.question, sample.target) == ("q\nA. x\nB. y", "B")
        assert task.grade(sample, "(b)").correct
        assert optional(task).observe(sample, "C").failed is True

    @pytest.mark.parametrize(
        ("record", "message"),
        [
            ({"question": "q", "choices": ["x"], "answer": "A"}, "found 1 choices"),
            ({"question": "q", "choices": ["x", "y"], "answer": "C"}, "found 'C', allowed: one of A, B"),
            ({"question": "q", "choices": ["x", "y"], "answer": 2}, "found '2'"),
            ({"question": "q", "answer": "A"}, "columns A, B, C"),
        ],
    )
    def test_what_is_no_multiple_choice(self, tmp_path: Path, record: Any, message: str) -> None:
        with pytest.raises(DataError, match=message):
            of(tmp_path, "multiple_choice", record)


class TestChoices:
    CHOICES = ("K08", "Q17")

    def test_the_choices_guide_the_answer_and_end_the_instructions(self, tmp_path: Path) -> None:
        record = {"question": "q", "target": "Q17"}
        task = of(tmp_path, "jsonl", record, choices=self.CHOICES, instructions="Name the desk.")
        assert task.instructions == "Name the desk. The answer is one of: K08, Q17."
        (sample,) = task.splits.test
        assert optional(task).answer_schema(sample) == {"type": "string", "enum": ["K08", "Q17"]}
        assert optional(task).observe(sample, "K08").failed is None
        assert optional(task).observe(sample, "a week").text == "'a week' is none of K08, Q17"
        assert task.grade(sample, "Q17").correct and not task.grade(sample, "K08").correct

    def test_without_choices_an_answer_is_free(self, tmp_path: Path) -> None:
        task = of(tmp_path, "jsonl", {"question": "q", "target": "Q17"})
        assert not hasattr(optional(task), "answer_schema") and task.instructions == ""

    def test_a_target_that_is_none_of_them(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"target 'R52', allowed by grader 'exact': one of task.choices: K08, Q17"):
            of(tmp_path, "jsonl", {"question": "q", "target": "R52"}, choices=self.CHOICES)

    def test_the_grader_decides_what_is_one_of_them(self, tmp_path: Path) -> None:
        task = of(tmp_path, "jsonl", {"question": "q", "target": "q17."}, choices=self.CHOICES, grader="normalized")
        assert optional(task).observe(task.splits.test[0], "k08").failed is None

    @pytest.mark.parametrize("choices", [["Q17"], ["Q17", "Q17"], ["Q17", " "]])
    def test_what_is_no_list_of_choices(self, tmp_path: Path, choices: list[str]) -> None:
        with pytest.raises(ValueError, match="two texts or more"):
            of(tmp_path, "jsonl", {"question": "q", "target": "Q17"}, choices=choices)


class TestStructured:
    SCHEMA: ClassVar[dict[str, Any]] = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}

    @pytest.mark.parametrize(
        ("answer", "value"),
        [('{"n": 1, "m": "x"}', 1.0), ('{"m":"x","n":1.0}', 1.0), ('{"n": 1}', 0.5), ('{"n": true, "m": "x"}', 0.5)],
    )
    def test_values_are_compared(self, tmp_path: Path, answer: str, value: float) -> None:
        task = of(tmp_path, "json", {"question": "q", "target": {"n": 1, "m": "x"}})
        assert task.grade(task.splits.test[0], answer).value == value

    def test_the_schema_guides_and_is_observed(self, tmp_path: Path) -> None:
        task = of(tmp_path, "json", {"question": "q", "target": {"n": 1}}, answer_schema=self.SCHEMA)
        (sample,) = task.splits.test
        assert optional(task).answer_schema(sample) == self.SCHEMA
        assert optional(task).observe(sample, '{"n": "x"}').text == "n: 'x' is not of type 'integer'"
        assert optional(task).observe(sample, '{"n": 2}').failed is None

    def test_a_target_that_breaks_the_schema(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"breaks task.answer_schema: answer: 'n' is a required property"):
            of(tmp_path, "json", {"question": "q", "target": {}}, answer_schema=self.SCHEMA)

    @pytest.mark.parametrize("schema", [{"type": "nothing"}, {"$ref": "#/$defs/x"}])
    def test_what_is_no_schema(self, tmp_path: Path, schema: Any) -> None:
        with pytest.raises(ConfigError, match=r"task.answer_schema"):
            of(tmp_path, "json", {"question": "q", "target": {}}, answer_schema=schema)


class TestProgram:
    HUMANEVAL: ClassVar[dict[str, str]] = {
        "task_id": "T/0",
        "prompt": "def inc(n):\n    '''One more.'''\n",
        "test": "def check(candidate):\n    assert candidate(1) == 2\n",
        "entry_point": "inc",
    }

    @pytest.mark.parametrize(
        ("answer", "right"),
        [
            ("    return n + 1\n", True),
            ("def inc(n): return n + 1", True),
            ("Here:\n```python\ndef inc(n):\n    return n + 1\n```\nDone.", True),
            ("def inc(n): return n", False),
            ("def inc(n): return (", False),
        ],
    )
    def test_the_format_of_humaneval(self, tmp_path: Path, answer: str, right: bool) -> None:
        task = of(tmp_path, "code", self.HUMANEVAL)
        (sample,) = task.splits.test
        assert sample.id == "T/0"
        assert task.grade(sample, answer).correct is right

    def test_the_format_of_mbpp(self, tmp_path: Path) -> None:
        record = {"text": "Write f(x) that doubles.", "test_list": ["assert f(2) == 4", "assert f(0) == 1"]}
        task = of(tmp_path, "code", record)
        score = task.grade(task.splits.test[0], "def f(x): return 2 * x")
        assert (score.value, score.correct) == (0.5, False)
        assert "1 of 2 tests pass" in score.feedback
        assert "assert f(0) == 1" in score.feedback

    def test_leaving_early_is_no_pass(self) -> None:
        task = load("code", path="sample")
        assert not task.grade(task.splits.test[0], "import os; os._exit(0)").correct

    def test_without_labels_only_the_examples_are_run(self, tmp_path: Path) -> None:
        record = {"prompt": "Write f", "tests": ["assert f(3) == 'canary'"], "examples": ["assert f(1) == 1"]}
        task = of(tmp_path, "code", record)
        (sample,) = task.splits.test
        assert optional(task).observe(sample, "def f(x): return x").failed is False
        wrong = optional(task).observe(sample, "def f(x): return 0")
        assert wrong.failed is True
        assert "canary" not in wrong.text
        bare = of(tmp_path, "code", {"prompt": "Write f", "tests": ["assert f(3) == 'canary'"]})
        assert optional(bare).observe(bare.splits.test[0], "def f(x): return 0").failed is None
