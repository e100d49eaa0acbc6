"""A run in Weights & Biases, beside whatever runs of it this process has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import wandb

from ace.config import WandbSettings


class WandbSink:
    """One run of Weights & Biases; its id is the id of ours, so that a resumed run goes on in it."""

    def __init__(self, settings: WandbSettings) -> None:
        self._settings = settings
        self._run: Any = None

    def start(self, run: str, name: str, settings: Mapping[str, str], tags: Mapping[str, str]) -> None:
        folder = Path(self._settings.folder)
        folder.mkdir(parents=True, exist_ok=True)
        self._run = wandb.init(
            project=self._settings.project,
            entity=self._settings.entity,
            dir=str(folder),
            id=run,
            name=run,
            group=name,
            config=dict(settings),
            tags=[f"{key}:{value}"[:64] for key, value in tags.items()],
            mode=self._settings.mode,
            resume="allow" if self._settings.mode == "online" else None,
            reinit="create_new",
            settings=wandb.Settings(
                silent=True, console="off", disable_code=True, disable_git=True, x_disable_stats=True
            ),
        )

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        self._run.log(dict(metrics), step=step)

    def add_artifact(self, name: str, texts: Mapping[str, str]) -> None:
        artifact = wandb.Artifact(f"{name}-{self._run.id}", type=name)
        for file, text in texts.items():
            with artifact.new_file(file, encoding="utf-8") as target:
                target.write(text)
        self._run.log_artifact(artifact)

    def finish(self, status: str) -> None:
        self._run.summary["status"] = status
        self._run.finish(exit_code=0 if status in ("done", "budget") else 1)
