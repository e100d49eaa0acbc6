"""Inputs of a run: its task, its prompt pack and its first playbook."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from ace.config import RunSettings
from ace.errors import ConfigError
from ace.playbook import Playbook, read_playbook
from ace.prompts import PromptPack, find_pack, load_pack
from ace.tasks import InstructedTask, Task, check_task, load_task
from ace.tasks.task_calls import naming_sample
from ace.types import Sample


@dataclass(frozen=True, slots=True)
class RunInputs:
    """Task, prompt pack and first playbook, loaded and checked before any engine."""

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


def load_inputs(settings: RunSettings, *, task: Task | None = None, playbook: Playbook | None = None) -> RunInputs:
    """Load and check task, prompts and playbook. ConfigError, DataError, PromptPackError, PlaybookFormatError.

    `task` and `playbook` are used in the place of what the settings name.
    """
    task = check_task(task) if task is not None else load_task(settings.task, labels=settings.adaptation.labels)
    pack = load_pack(settings.prompts).for_task(_instructions(task))
    if not settings.roles.generator.reasoning:
        pack = pack.without_reasoning()
    most = settings.adaptation.reflect_together
    if most > 1 and (pack.together is None or pack.together_insight is None):
        raise ConfigError.at("adaptation.reflect_together", most, f"1, with prompts '{settings.prompts}'")
    initial = settings.playbook.initial
    if playbook is None:
        playbook = read_playbook(initial) if initial else Playbook.empty(sections=pack.sections)
    return RunInputs(task, pack, playbook)


def with_stored_pack(inputs: RunInputs, digest: str) -> RunInputs:
    """Replace the prompt pack by its packaged version with `digest`, if there is one."""
    stored = None if inputs.pack.digest == digest else find_pack(inputs.pack.name, digest)
    return inputs if stored is None else replace(inputs, pack=stored.for_task(_instructions(inputs.task)))


def sample_prompt(task: Task, pack: PromptPack, sample: Sample) -> tuple[str, str]:
    """Return question and context of `sample`, which has no target, as `pack` shows them.

    The task's instructions are part of the context where the pack does not show them before the playbook.
    """
    with naming_sample("prompt", sample.id):
        question, context = task.prompt(sample)
    if pack.shows_instructions:
        return question, context
    return question, "\n\n".join(filter(None, (_instructions(task), context)))


def _instructions(task: Task) -> str:
    return task.instructions if isinstance(task, InstructedTask) else ""
