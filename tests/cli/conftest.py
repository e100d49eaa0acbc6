"""A task in a file, a config for it, and scripted backends that play the three roles."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ace_command import invoke
from scripted_roles import learn
from typer.testing import Result

from ace.inference import ScriptedBackend

Invoke = Callable[..., Result]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A config in an empty working folder: six training and three test samples that all ask for the same thing."""
    monkeypatch.chdir(tmp_path)
    for split, size in (("train", 6), ("test", 3)):
        records = [
            {"id": f"{split}-{i}", "question": f"The colour of the sky, {split} {i}?", "target": "blue"}
            for i in range(size)
        ]
        Path(f"{split}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    path = tmp_path / "config.yaml"
    path.write_text(
        "task: {name: jsonl, train: train.jsonl, test: test.jsonl}\n"
        "models: {main: {provider: scripted, model: scripted}}\n"
        "adaptation: {batch_size: 2, max_rounds: 1}\n"
    )
    return path


@pytest.fixture
def ace() -> Invoke:
    """Invoke the command with a script in the place of the engine."""

    def invoke_scripted(*arguments: object, answers: Any = learn) -> Result:
        return invoke(*arguments, backends={"main": ScriptedBackend(answers)})

    return invoke_scripted
