"""A task of inspect_ai as a task of ACE. A stand-in plays the model.

pip install 'ace-vllm[inspect]'
python examples/inspect_ai_task.py
"""

from __future__ import annotations

import asyncio
import csv
import tempfile
from pathlib import Path

from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import match
from inspect_ai.solver import generate, system_message
from scripted_desk import answer

import ace

TICKETS = Path(__file__).parent / "data" / "tickets.csv"


@task  # type: ignore[untyped-decorator] # the package is Any where it is not installed
def tickets() -> Task:
    """Which desk a ticket goes to."""
    with TICKETS.open(encoding="utf-8") as file:
        samples = [Sample(input=row["ticket"], target=row["desk"]) for row in csv.DictReader(file)]
    return Task(dataset=samples, solver=[system_message("Name the desk."), generate()], scorer=match(location="exact"))


def main(folder: str) -> None:
    split = {"train": 0.5, "validation": 0.0, "test": 0.5}
    path = f"{Path(__file__).resolve()}@tickets"
    settings = ace.settings_from(
        {
            "models": {"main": {"provider": "scripted", "model": "desk"}},
            "task": {"name": "inspect", "path": path, "split": split},
            "store": f"sqlite:///{folder}/ace.db",
        }
    )
    summary = asyncio.run(ace.run(settings, backends={"main": ace.ScriptedBackend(answer)}))
    print(f"{summary.accuracy_before:.0%} -> {summary.accuracy_after:.0%} of the test split")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        main(temporary)
