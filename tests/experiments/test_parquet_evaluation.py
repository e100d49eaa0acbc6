"""Parquet files answered block by block on a Ray cluster of this machine: exactly once, also after a loss."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from opened_scripted import open_counting

from ace.config import RaySettings, RunSettings, settings_from
from ace.errors import ConfigError, DataError
from ace.experiments.parquet_evaluation import EngineActors, ParquetEvaluation, evaluate_parquet
from ace.playbook import Playbook

pytestmark = [pytest.mark.ray, pytest.mark.slow]

WORDS = [f"word{number}" for number in range(20)]


@pytest.fixture(scope="module", autouse=True)
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cluster of this process, which the evaluations take as it is."""
    import ray

    helpers = Path(__file__).parents[1] / "helpers"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(helpers), *filter(None, sys.path)]))
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setenv("ACE_ASKED", str(tmp_path_factory.mktemp("asked")))
        ray.init(
            address="local",
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            _system_config={"worker_niceness": 0},
        )
        yield
        ray.shutdown()


@pytest.fixture
def asked() -> Path:
    """The folder in which actors note what they were asked, empty."""
    folder = Path(os.environ["ACE_ASKED"])
    for file in folder.iterdir():
        file.unlink()
    return folder


def write(path: Path, words: list[str]) -> Path:
    import pyarrow
    import pyarrow.parquet

    targets = ["other" if word == "word3" else word for word in words]
    table = pyarrow.table({"question": [f"say {word}" for word in words], "target": targets})
    pyarrow.parquet.write_table(table, path, row_group_size=8)
    return path


def settings(**changes: object) -> RunSettings:
    models = {"main": {"provider": "scripted", "model": "scripted"}}
    task = {"name": "parquet", "path": "unused.parquet", "grader": "exact"}
    return settings_from({"name": "large", "models": models, "task": task, **changes})


def evaluate(tmp_path: Path, source: Path, **changes: object) -> ParquetEvaluation:
    return evaluate_parquet(
        settings(**changes),
        Playbook.empty(),
        [source],
        tmp_path / "answers",
        actors=EngineActors(RaySettings()),
        block_rows=5,
        opened=open_counting,
    )


def rows(tmp_path: Path) -> list[dict[str, object]]:
    import pyarrow.parquet

    return [
        row
        for part in sorted((tmp_path / "answers").glob("part-*.parquet"))
        for row in pyarrow.parquet.read_table(part).to_pylist()
    ]


def test_every_row_is_answered_once_in_the_order_of_the_file(tmp_path: Path, asked: Path) -> None:
    source = write(tmp_path / "data.parquet", WORDS)
    total = evaluate(tmp_path, source)
    assert (total.samples, total.correct, total.failed, total.blocks, total.reused) == (20, 19, 0, 5, 0)
    answers = rows(tmp_path)
    assert [row["answer"] for row in answers] == WORDS
    assert [row["id"] for row in answers] == [f"data-{number}" for number in range(1, 21)]
    assert {file.name: file.read_text() for file in asked.iterdir()} == dict.fromkeys(WORDS, "x")
    assert json.loads((tmp_path / "answers" / "_SUCCESS.json").read_text())["accuracy"] == 0.95


def test_only_blocks_without_answers_are_asked_again(tmp_path: Path, asked: Path) -> None:
    source = write(tmp_path / "data.parquet", WORDS)
    first = evaluate(tmp_path, source)
    before = rows(tmp_path)
    sorted((tmp_path / "answers").glob("part-*.parquet"))[1].unlink()
    for file in asked.iterdir():
        file.unlink()
    again = evaluate(tmp_path, source)
    assert again.reused == 4 and again.samples == first.samples
    assert sorted(file.name for file in asked.iterdir()) == ["word5", "word6", "word7"]
    assert rows(tmp_path) == before


def test_a_block_whose_actor_is_killed_is_answered_by_another(tmp_path: Path, asked: Path) -> None:
    source = write(tmp_path / "data.parquet", [*WORDS[:7], "fatal", *WORDS[8:]])
    total = evaluate(tmp_path, source)
    assert (asked / "died").exists()
    assert (total.samples, total.correct) == (20, 19)
    assert len({row["id"] for row in rows(tmp_path)}) == 20


def test_a_folder_with_answers_to_something_else_is_refused(tmp_path: Path, asked: Path) -> None:
    source = write(tmp_path / "data.parquet", WORDS[:5])
    evaluate(tmp_path, source)
    with pytest.raises(ConfigError, match="with those of the same settings"):
        evaluate(tmp_path, source, seed=7)


def test_what_is_no_parquet_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "data.parquet").write_text("no")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        evaluate(tmp_path, tmp_path / "data.parquet")
