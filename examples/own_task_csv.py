"""ACE on a CSV file: name its columns, choose a grader, run, and read what was learned.

The model here is scripted, so that the example runs anywhere. To use a real one, leave `backends` out: the settings'
`models` then say what is started.

    python examples/own_task_csv.py
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from scripted_desk import answer

from ace import RunStore, ScriptedBackend, run, settings_from

HERE = Path(__file__).parent


def main(store: str) -> None:
    settings = settings_from(
        {
            "name": "tickets",
            "store": store,
            "task": {
                "name": "csv",
                "path": str(HERE / "data" / "tickets.csv"),
                "fields": {"question": "ticket", "target": "desk"},
                "grader": "exact",
                "instructions": "Name the desk that handles this ticket. Answer with its code alone.",
                "split": {"train": 0.5, "validation": 0.0, "test": 0.5},
            },
            "models": {"main": {"provider": "auto", "model": "Qwen/Qwen2.5-7B-Instruct"}},
            "adaptation": {"batch_size": 4, "epochs": 1},
        }
    )
    summary = asyncio.run(run(settings, backends={"main": ScriptedBackend(answer)}))
    print(f"{summary.accuracy_before:.0%} -> {summary.accuracy_after:.0%} of the test split")
    with RunStore.open(store) as opened:
        for bullet in opened.playbook(summary.run).bullets:
            print("-", bullet.content)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(f"sqlite:///{folder}/ace.db")
