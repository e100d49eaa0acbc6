"""What every part of a run's loop needs, and the three model calls with the run's settings filled in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from pydantic import BaseModel

from ace.config import RunSettings
from ace.engine.aside import Aside
from ace.engine.calls import Calls
from ace.engine.events import CallFinished, Listener, silent
from ace.engine.schedule import derive_seed
from ace.engine.signal import has_labels, without_target
from ace.inference import Backend
from ace.playbook import Embedder, Playbook, WorkingSet, render
from ace.prompts import PromptPack
from ace.roles import (
    Curation,
    GeneratorAnswer,
    Reflection,
    RoleResult,
    bullet_stats,
    curate,
    generate,
    reflect,
)
from ace.store import RunStore
from ace.tasks import SchemaTask, Task
from ace.types import RoleName, Sample, Sampling

Answer = TypeVar("Answer", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class RunContext:
    """One run's settings and live parts. Frozen: the loop's state is the playbook, which is handed on by value.

    Every call raises what its backend raises; an answer that cannot be parsed is a value. `working_sets` keeps what was
    retrieved for an epoch, by the index of its first batch.
    """

    run: str
    settings: RunSettings
    task: Task
    pack: PromptPack
    backends: Mapping[RoleName, Backend]
    store: RunStore
    calls: Calls
    embedder: Embedder
    aside: Aside
    listener: Listener = silent
    working_sets: dict[int, WorkingSet] = field(default_factory=dict)

    def render(self, playbook: Playbook) -> str:
        """The playbook as prompts show it: the part of the prefix that all roles share."""
        return render(playbook, self.pack.formats)

    def count_tokens(self, text: str) -> int:
        """Tokens of `text` by the generator's own tokenizer."""
        return self.backends["generator"].count_tokens(text)

    async def generate(
        self,
        prefix: str,
        sample: Sample,
        *,
        reflection: str,
        purpose: str,
        round: int,
        so_far: str = "",
        temperature: float | None = None,
        role: RoleName = "generator",
    ) -> RoleResult[GeneratorAnswer]:
        """Let the generator answer `sample` behind the rendered playbook `prefix`.

        `so_far` is what was done in the sample's world, `temperature` stands in for the settings', and the model that
        plays `role` is the one that answers.
        """
        seen = without_target(sample)
        question, material = self.task.prompt(seen)
        if so_far:
            material = f"{material}\n\nWhat you did so far:\n{so_far}".strip()
        sampling = self._sampling(role, purpose, sample.id, str(round))
        schema = self.task.answer_schema(seen) if isinstance(self.task, SchemaTask) else None
        result = await generate(
            self.calls.of(role),
            self.pack,
            prefix,
            sample,
            sampling=sampling if temperature is None else replace(sampling, temperature=temperature, top_p=1.0),
            guided=self.backends[role].info.structured_outputs,
            prompt=(question, material),
            reflection=reflection,
            round=round,
            role=role,
            answer_schema=schema,
        )
        return self._heard(result)

    async def reflect(
        self, prefix: str, sample: Sample, output: GeneratorAnswer, feedback: str, *, purpose: str, round: int
    ) -> RoleResult[Reflection]:
        """Let the reflector look at one answer and what was said to it; at the target, where labels are given."""
        seen = sample if has_labels(self.settings) else without_target(sample)
        result = await reflect(
            self.calls.of("reflector"),
            self.pack,
            prefix,
            seen,
            output,
            feedback,
            sampling=self._sampling("reflector", purpose, sample.id, str(round)),
            guided=self.backends["reflector"].info.structured_outputs,
            prompt=self.task.prompt(without_target(sample)),
            round=round,
        )
        return self._heard(result)

    async def curate(
        self,
        playbook: Playbook,
        prefix: str,
        reflections: Sequence[Reflection],
        *,
        touched: Sequence[str],
        purpose: str,
        group: int,
    ) -> RoleResult[Curation] | None:
        """Let the curator look at one group of reflections and the counters of the bullets they `touched`.

        None, without a call, where the reflections hold no insight.
        """
        result = await curate(
            self.calls.of("curator"),
            self.pack,
            prefix,
            reflections,
            sections=playbook.sections,
            sampling=self._sampling("curator", purpose, str(group)),
            guided=self.backends["curator"].info.structured_outputs,
            stats=bullet_stats(playbook, touched),
        )
        return result and self._heard(result)

    def _sampling(self, role: RoleName, *parts: str) -> Sampling:
        settings = getattr(self.settings.roles, role)
        return Sampling(
            max_tokens=settings.max_tokens,
            temperature=settings.temperature,
            top_p=settings.top_p,
            seed=derive_seed(self.settings.seed, role, *parts),
        )

    def _heard(self, result: RoleResult[Answer]) -> RoleResult[Answer]:
        call = result.call
        self.listener(CallFinished(call.role, call.usage, call.parsed))
        return result
