"""From settings to a task: files, data sets, own code, the micro world; with labels and without."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ace.config import Labels, TaskSettings
from ace.errors import ConfigError, DataError, ProviderMissingError
from ace.tasks import Task, load_task

OWN_TASK = """
from dataclasses import dataclass
from ace.tasks import Splits
from ace.types import Sample, Score

@dataclass(frozen=True)
class Even:
    name: str = "even"
    splits: Splits = Splits(train=(Sample("a", "2"{label}),), test=(Sample("b", "3", "odd"),))

    def prompt(self, sample):
        return sample.question, ""

    def grade(self, sample, answer):
        return Score(1.0, True, "fine")

def make_task():
    {body}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: str, *records: dict[str, Any]) -> str:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def record(question: str, target: str | None = "t") -> dict[str, Any]:
    return {"question": question} | ({} if target is None else {"target": target})


def load(labels: Labels = "given", **settings: Any) -> Task:
    return load_task(TaskSettings.model_validate(settings), labels=labels)


def own(body: str = "return Even()", label: str = "", **options: Any) -> Task:
    Path("mytask.py").write_text(OWN_TASK.replace("{body}", body).replace("{label}", label))
    return load(**options, name="python", path="mytask.py:make_task")


class TestData:
    def test_a_file_for_each_split(self) -> None:
        task = load(name="jsonl", train=write("a.jsonl", record("1"), record("2")), test=write("b.jsonl", record("3")))
        assert [s.id for s in task.splits.train] == ["a-1", "a-2"]
        assert task.splits.validation == ()
        assert [s.question for s in task.splits.test] == ["3"]

    def test_one_file_cut(self) -> None:
        task = load(name="jsonl", path=write("a.jsonl", *(record(str(i)) for i in range(10))))
        assert [len(task.splits.train), len(task.splits.validation), len(task.splits.test)] == [6, 2, 2]
        assert task.name == "a"

    def test_files_of_one_name_in_different_folders(self) -> None:
        task = load(name="jsonl", train=write("train/x.jsonl", record("1")), test=write("test/x.jsonl", record("2")))
        assert (task.splits.train[0].id, task.splits.test[0].id) == ("train-x-1", "test-x-1")

    def test_csv(self) -> None:
        Path("a.csv").write_text("question,target\nq,t\n")
        assert load(name="csv", test="a.csv").splits.test[0].question == "q"

    def test_a_limit_holds_for_each_split(self) -> None:
        task = load(name="jsonl", limit=1, path=write("a.jsonl", *(record(str(i)) for i in range(10))))
        assert len(task.splits.train) == len(task.splits.test) == 1

    def test_instructions_are_the_tasks_not_the_samples(self) -> None:
        path = write("a.jsonl", {"question": "q", "target": "t", "context": "c"})
        task = load(name="jsonl", test=path, instructions="Be brief.")
        assert task.prompt(task.splits.test[0]) == ("q", "c")
        assert getattr(task, "instructions", None) == "Be brief."

    def test_feedback_names_what_was_expected(self) -> None:
        task = load(name="jsonl", test=write("a.jsonl", record("q", "a,b")), grader="list")
        sample = task.splits.test[0]
        right, wrong = task.grade(sample, "a,b"), task.grade(sample, "a,x")
        assert (right.value, right.correct, right.feedback) == (1.0, True, "correct")
        assert (wrong.value, wrong.correct, wrong.feedback) == (0.5, False, "wrong; expected: a,b")

    @pytest.mark.parametrize(
        ("settings", "key"),
        [
            ({"name": "jsonl"}, "task.path"),
            ({"name": "hf"}, "task.path"),
            ({"name": "jsonl", "path": "a", "train": "b"}, "task.path"),
        ],
    )
    def test_no_file_or_too_many(self, settings: dict[str, Any], key: str) -> None:
        with pytest.raises(ConfigError) as caught:
            load(**settings)
        assert caught.value.facts["key"] == key

    def test_a_sample_in_two_splits(self) -> None:
        with pytest.raises(DataError, match="'a-1' in train and 'b-2' in test ask the same"):
            load(
                name="jsonl",
                train=write("a.jsonl", record("same")),
                test=write("b.jsonl", record("other"), record("same")),
            )

    def test_a_target_that_the_grader_cannot_use(self) -> None:
        with pytest.raises(DataError, match="'a-2' in test: target 'two', allowed by grader 'numeric': exactly one"):
            load(name="jsonl", grader="numeric", test=write("a.jsonl", record("q", "1"), record("r", "two")))

    def test_a_file_cannot_do_without_labels(self) -> None:
        with pytest.raises(ConfigError, match="given or none, with task 'jsonl'") as caught:
            load("forbidden", name="jsonl", test=write("a.jsonl", record("q")))
        assert caught.value.facts["key"] == "adaptation.labels"


class TestHub:
    @pytest.fixture
    def saved(self, folder: Path) -> Callable[[dict[str, list[Any]]], str]:
        """A data set in a folder, as the library itself saves it."""
        datasets = pytest.importorskip("datasets")

        def save(splits: dict[str, list[Any]]) -> str:
            tables = {name: datasets.Dataset.from_list(rows) for name, rows in splits.items()}
            datasets.DatasetDict(tables).save_to_disk(str(folder / "saved"))
            return str(folder / "saved")

        return save

    def test_without_the_package(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "datasets", None)
        with pytest.raises(ProviderMissingError, match=r"pip install 'ace-vllm\[data\]'"):
            load(name="hf", path="org/set")

    def test_its_splits_are_taken(self, saved: Callable[[dict[str, list[Any]]], str]) -> None:
        data = {"train": [record("1")], "dev": [record("2"), record("3")], "extra": [record("4")]}
        task = load(name="hf", path=saved(data))
        assert [s.id for s in task.splits.train + task.splits.validation] == ["train-1", "validation-1", "validation-2"]
        assert task.splits.test == ()

    def test_a_single_split_is_cut(self, saved: Callable[[dict[str, list[Any]]], str]) -> None:
        task = load(name="hf", path=saved({"train": [record(str(i)) for i in range(10)]}))
        assert [len(task.splits.train), len(task.splits.validation), len(task.splits.test)] == [6, 2, 2]

    def test_a_folder_of_data_files(self, folder: Path) -> None:
        pytest.importorskip("datasets")
        (folder / "files").mkdir()
        for split in ("train", "test"):
            rows = [json.dumps(record(f"{split} {i}")) for i in range(3)]
            (folder / "files" / f"{split}.jsonl").write_text("\n".join(rows))
        task = load(name="hf", path=str(folder / "files"))
        assert [s.question for s in task.splits.test] == ["test 0", "test 1", "test 2"]

    @pytest.mark.parametrize(
        ("data", "message"),
        [
            ({"more": [{"question": "q"}]}, "no split train, validation or test; it has more"),
            ({"train": [{"target": "t"}]}, "field 'question': missing"),
        ],
    )
    def test_what_is_wrong(
        self, saved: Callable[[dict[str, list[Any]]], str], data: dict[str, list[Any]], message: str
    ) -> None:
        with pytest.raises(DataError, match=message):
            load(name="hf", path=saved(data))

    def test_what_is_no_data_set(self, folder: Path) -> None:
        pytest.importorskip("datasets")
        (folder / "none").mkdir()
        with pytest.raises(DataError, match="cannot be loaded"):
            load(name="hf", path=str(folder / "none"))


class TestPython:
    def test_a_factory_gives_the_task(self) -> None:
        task = own()
        assert task.name == "even"
        assert task.grade(task.splits.train[0], "x").correct

    def test_it_works_without_labels(self) -> None:
        assert own(labels="forbidden").splits.train[0].target is None

    def test_a_label_where_none_is_allowed(self) -> None:
        with pytest.raises(DataError, match="sample 'a' has a label where none is allowed"):
            own(labels="forbidden", label=', "even"')

    @pytest.mark.parametrize("path", [None, "mytask.py", ":make", "nowhere.py:make", "mytask.py:", "data.txt:make"])
    def test_what_is_no_path_of_a_factory(self, path: str | None) -> None:
        Path("data.txt").touch()
        with pytest.raises(ConfigError) as caught:
            load(name="python", path=path)
        assert caught.value.facts["key"] == "task.path"

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            ("return 3", "has no name, splits, prompt, grade"),
            ("raise OSError('disk')", r"make_task\(\) of mytask\.py failed: OSError"),
            ("return Even(splits=[])", "splits is list, allowed: ace.tasks.Splits"),
            ("return Even(splits=Splits(train=({},)))", "a split holds dict"),
            ("return Even(splits=Splits())", "task 'even' has no samples"),
            ("return Even(splits=Splits(train=(Sample('a', 'q'), Sample('a', 'r'))))", "'a' is twice in train"),
            ("return (", "cannot be imported: SyntaxError"),
        ],
    )
    def test_a_factory_that_gives_something_else(self, body: str, message: str) -> None:
        with pytest.raises((ConfigError, DataError), match=message):
            own(body)

    def test_a_factory_that_is_not_there(self) -> None:
        Path("mytask.py").write_text("make_task = 3\n")
        with pytest.raises(ConfigError, match="it has no 'make_task'"):
            load(name="python", path="mytask.py:make_task")


class TestMicro:
    def test_the_world_of_the_seed(self) -> None:
        task = load(name="micro", micro={"seed": 7})
        assert [len(task.splits.train), len(task.splits.validation), len(task.splits.test)] == [40, 24, 64]
        assert load(name="micro", micro={"seed": 7}).splits == task.splits
        assert load(name="micro", micro={"seed": 8}).splits != task.splits
        assert task.name == "micro-7"

    def test_grades(self) -> None:
        task = load(name="micro")
        sample = task.splits.test[0]
        assert sample.target is not None
        assert task.prompt(sample) == (sample.question, "")
        assert task.grade(sample, f" {sample.target}\n").correct
        wrong = task.grade(sample, "?")
        assert (wrong.value, wrong.correct) == (0.0, False)
        assert sample.target in wrong.feedback

    def test_a_world_too_small_for_its_splits(self) -> None:
        with pytest.raises(ConfigError, match=r"task\.micro: train \+ validation \+ test = 128"):
            load(name="micro", micro={"terms": 4})
