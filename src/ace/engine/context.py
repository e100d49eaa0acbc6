"""What every part of a run's loop needs, and the three model calls with the run's settings filled in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from pydantic import BaseModel

from ace.config import RunSettings
from ace.engine.calls.call_gateway import CallGateway
from ace.engine.calls.escalation import Escalation, at_once, call_with_escalation, is_insufficient, with_time_limit
from ace.engine.concurrency.blocking_pool import BlockingPool
from ace.engine.events import CallFinished, Listener, null_listener
from ace.engine.feedback.signals import has_labels, without_target
from ace.engine.loop.schedule import derive_seed
from ace.inference import Tiers
from ace.playbook import Embedder, Playbook, WorkingSet, render
from ace.prompts import PromptPack
from ace.roles import (
    Complete,
    Curation,
    GeneratorAnswer,
    Reflection,
    RoleResult,
    bullet_stats,
    curate,
    generate,
    insight_lines,
    reflect,
)
from ace.store import RunStore
from ace.tasks import Task, abilities_of
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
    tiers: Tiers
    store: RunStore
    calls: CallGateway
    embedder: Embedder
    blocking_pool: BlockingPool
    listener: Listener = null_listener
    working_sets: dict[int, WorkingSet] = field(default_factory=dict)

    def render(self, playbook: Playbook) -> str:
        """The playbook as prompts show it: the part of the prefix that all roles share."""
        return render(playbook, self.pack.formats)

    def count_tokens(self, text: str) -> int:
        """Tokens of `text` by the generator's own tokenizer."""
        return self.tiers.own["generator"].count_tokens(text)

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
        grade: float | None = None,
    ) -> RoleResult[GeneratorAnswer]:
        """Let the generator answer `sample` behind the rendered playbook `prefix`.

        `so_far` is what was done in the sample's world, `grade` what the answer before got. An answer that is only
        compared with others is never escalated: `temperature` then stands in for the settings', or the model that plays
        another `role` answers.
        """
        seen = without_target(sample)
        question, material = self.task.prompt(seen)
        if so_far:
            material = f"{material}\n\nWhat you did so far:\n{so_far}".strip()
        schema_task = abilities_of(self.task).schema
        schema = schema_task.answer_schema(seen) if schema_task else None

        async def ask(why: Escalation | None) -> RoleResult[GeneratorAnswer]:
            sampling = self._sampling(role, why, purpose, sample.id, str(round))
            result = await generate(
                self._complete(role, why),
                self.pack,
                prefix,
                sample,
                sampling=sampling if temperature is None else replace(sampling, temperature=temperature, top_p=1.0),
                guided=self._guided(role, why),
                prompt=(question, material),
                reflection=reflection,
                round=round,
                role=role,
                answer_schema=schema,
            )
            return self._record_call(result, why)

        counted = role == "generator" and temperature is None
        escalate = self.settings.roles.generator.escalate if counted else None
        return await call_with_escalation(ask, escalate, at_once(escalate, grade=grade, round=round))

    async def reflect(
        self,
        prefix: str,
        sample: Sample,
        output: GeneratorAnswer,
        feedback: str,
        *,
        purpose: str,
        round: int,
        grade: float | None = None,
        stalled: bool = False,
    ) -> RoleResult[Reflection]:
        """Let the reflector look at one answer and what was said to it; at the target, where labels are given.

        `grade` is the answer's; `stalled` says that the smaller model has nothing new to say.
        """
        seen = sample if has_labels(self.settings) else without_target(sample)

        async def ask(why: Escalation | None) -> RoleResult[Reflection]:
            result = await reflect(
                self._complete("reflector", why),
                self.pack,
                prefix,
                seen,
                output,
                feedback,
                sampling=self._sampling("reflector", why, purpose, sample.id, str(round)),
                guided=self._guided("reflector", why),
                prompt=self.task.prompt(without_target(sample)),
                round=round,
            )
            return self._record_call(result, why)

        escalate = self.settings.roles.reflector.escalate
        return await call_with_escalation(ask, escalate, at_once(escalate, grade=grade, round=round, stalled=stalled))

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
        if not insight_lines(self.pack, reflections):
            return None

        async def ask(why: Escalation | None) -> RoleResult[Curation]:
            result = await curate(
                self._complete("curator", why),
                self.pack,
                prefix,
                reflections,
                sections=playbook.sections,
                sampling=self._sampling("curator", why, purpose, str(group)),
                guided=self._guided("curator", why),
                stats=bullet_stats(playbook, touched),
            )
            assert result is not None  # there are insights
            return self._record_call(result, why)

        def needs_escalation(curation: Curation) -> bool:
            return is_insufficient(self.settings, self.pack, self.embedder, playbook, curation, reflections)

        return await call_with_escalation(
            ask, self.settings.roles.curator.escalate, None, needs_escalation=needs_escalation
        )

    def _complete(self, role: RoleName, why: Escalation | None) -> Complete:
        """How `role` asks its model, or the larger one. Where there is one, a long prompt does not fit its own."""
        complete = self.calls.of(role, why)
        escalate = self.settings.roles.of(role).escalate
        limit = escalate.prompt_tokens if escalate is not None and why is None else None
        return with_time_limit(limit, complete, self.tiers.own[role])

    def _guided(self, role: RoleName, why: Escalation | None) -> bool:
        return self.tiers.get(role, escalated=why is not None).info.structured_outputs

    def _sampling(self, role: RoleName, why: Escalation | None, *parts: str) -> Sampling:
        """The larger model draws from a seed of its own, so that the two requests are two in the store."""
        settings = self.settings.roles.of(role)
        parts = parts if why is None else (*parts, "escalated")
        return Sampling(
            max_tokens=settings.max_tokens,
            temperature=settings.temperature,
            top_p=settings.top_p,
            seed=derive_seed(self.settings.seed, role, *parts),
        )

    def _record_call(self, result: RoleResult[Answer], why: Escalation | None) -> RoleResult[Answer]:
        call = result.call
        self.listener(CallFinished(call.role, call.usage, call.parsed))
        return replace(result, call=replace(call, escalated=why))
