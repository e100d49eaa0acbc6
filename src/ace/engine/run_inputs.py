"""What a run is made of besides engines: its task, its prompts and the playbook that it begins with."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from ace.config import RunSettings
from ace.playbook import Playbook, read_playbook
from ace.prompts import PromptPack, load_pack
from ace.tasks import Task, load_task


@dataclass(frozen=True, slots=True)
class RunInputs:
    """What a run is made of, loaded and checked before any engine."""

    task: Task
    pack: PromptPack
    playbook: Playbook

    @property
    def task_digest(self) -> str:
        digest = hashlib.sha256()
        splits = self.task.splits
        for name, samples in (("train", splits.train), ("validation", splits.validation), ("test", splits.test)):
            for sample in samples:
                fields = (name, sample.id, sample.question, sample.context, sample.target or "")
                digest.update("\x1f".join(fields).encode("utf-8", "surrogatepass") + b"\x1e")
        return "sha256:" + digest.hexdigest()


def load_inputs(settings: RunSettings) -> RunInputs:
    """Load and check task, prompts and playbook. ConfigError, DataError, PromptPackError, PlaybookFormatError."""
    task = load_task(settings.task, labels=settings.adaptation.labels)
    pack = load_pack(settings.prompts)
    initial = settings.playbook.initial
    playbook = read_playbook(initial) if initial else Playbook.empty(sections=pack.sections)
    return RunInputs(task, pack, playbook)
