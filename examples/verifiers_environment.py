"""An environment of verifiers as a task of ACE. A stand-in plays the model.

pip install 'ace-vllm[verifiers]'
python examples/verifiers_environment.py
"""

from __future__ import annotations

import asyncio
import csv
import tempfile
from pathlib import Path
from typing import Any

import verifiers
from datasets import Dataset
from scripted_desk import answer as scripted_answer

import ace

TICKETS = Path(__file__).parent / "data" / "tickets.csv"


def right(completion: Any, answer: str) -> float:
    """The reward: whether the last message names the desk."""
    return float(completion[-1]["content"] == answer)


def load_environment() -> Any:
    """The function that verifiers looks for in a module; the module's name is the environment's."""
    with TICKETS.open(encoding="utf-8") as file:
        rows = [{"question": row["ticket"], "answer": row["desk"]} for row in csv.DictReader(file)]
    return verifiers.SingleTurnEnv(
        dataset=Dataset.from_list(rows), system_prompt="Name the desk.", rubric=verifiers.Rubric(funcs=[right])
    )


def main(folder: str) -> None:
    split = {"train": 0.5, "validation": 0.0, "test": 0.5}
    settings = ace.settings_from(
        {
            "models": {"main": {"provider": "scripted", "model": "desk"}},
            "task": {"name": "verifiers", "path": "verifiers-environment", "split": split},
            "store": f"sqlite:///{folder}/ace.db",
        }
    )
    summary = asyncio.run(ace.run(settings, backends={"main": ace.ScriptedBackend(scripted_answer)}))
    print(f"{summary.accuracy_before:.0%} -> {summary.accuracy_after:.0%} of the test split")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        main(temporary)
