"""ACE on the micro world through the engine of this machine: what `ace quickstart` does, in Python.

Needs an engine (`ace doctor` names the command that installs one), no GPU and no download.

    python examples/run_micro_world.py
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from ace import Event, load_settings, run

CONFIG = Path(__file__).parents[1] / "configs" / "micro-cpu.yaml"


def show(event: Event) -> None:
    print(type(event).__name__)


def main(store: str) -> None:
    settings = load_settings(CONFIG, ["models.main.provider=auto", "adaptation.epochs=1", f"store={store}"])
    summary = asyncio.run(run(settings, listener=show))
    print(f"{summary.accuracy_before:.0%} -> {summary.accuracy_after:.0%} in {summary.wall_s:.0f} s")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(f"sqlite:///{folder}/ace.db")
