"""Generator, reflector and curator calls with the settings, prompts and models of a run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol, TypeVar

from pydantic import BaseModel

from ace._util.hashing import derive_seed
from ace.config import EscalationSettings, RunSettings
from ace.engine.calls.escalation import Escalation, escalation_before, is_insufficient
from ace.engine.events import CallFailed, CallFinished, Listener, null_listener
from ace.engine.run_inputs import sample_prompt
from ace.errors import PromptTooLongError
from ace.inference import Bindings, ModelBinding
from ace.playbook import Embedder, Playbook
from ace.prompts import PromptPack
from ace.roles import (
    CallRecord,
    Curation,
    GeneratorAnswer,
    JointReflection,
    Reflection,
    RoleModel,
    RoleResult,
    bullet_stats,
    curate,
    generate,
    insight_lines,
    reflect,
    reflect_together,
)
from ace.tasks import Task, abilities_of
from ace.types import Completion, Request, RoleName, Sample, Sampling

Answer = TypeVar("Answer", bound=BaseModel)


class ModelCalls(Protocol):
    """Sends requests to bound models: the run's `CallGateway`, or a recorder."""

    async def complete(
        self,
        request: Request,
        binding: ModelBinding,
        escalation: Escalation | None = None,
        *,
        prompt_limit: int | None = None,
    ) -> Completion:
        """Answer `request`. PromptTooLongError for a prompt of more than `prompt_limit` tokens."""

    def accept(self, digest: str) -> None:
        """Cache the answer to the request with this digest: its role parsed it."""

    def reject(self, digest: str) -> None:
        """Do not cache the answer to the request with this digest."""


class RoleRunner:
    """Generator, reflector and curator calls, each on the role's own model or on its larger one.

    Every call raises what its backend raises. An answer that cannot be parsed is a value.
    """

    def __init__(
        self,
        settings: RunSettings,
        task: Task,
        pack: PromptPack,
        bindings: Bindings,
        calls: ModelCalls,
        embedder: Embedder,
        listener: Listener = null_listener,
    ) -> None:
        self._settings, self._task, self._pack = settings, task, pack
        self._bindings, self._calls, self._embedder, self._listener = bindings, calls, embedder, listener

    async def generate(
        self,
        prefix: str,
        sample: Sample,
        *,
        purpose: str,
        round: int = 0,
        reflection: str = "",
        transcript: str = "",
        grade: float | None = None,
        temperature: float | None = None,
        role: RoleName = "generator",
    ) -> RoleResult[GeneratorAnswer]:
        """Let the generator answer `sample` behind the rendered playbook `prefix`.

        `transcript` holds the steps in the sample's environment so far, `grade` is the score of the previous answer.
        An answer that is only compared with others is never escalated: it is sampled at `temperature`, or comes from
        the model of another `role`.
        """
        unlabelled = sample.without_target()
        question, material = sample_prompt(self._task, self._pack, unlabelled)
        if transcript:
            material = f"{material}\n\nWhat you did so far:\n{transcript}".strip()
        schema_task = abilities_of(self._task).schema
        schema = schema_task.answer_schema(unlabelled) if schema_task else None

        def ask(escalation: Escalation | None) -> Awaitable[RoleResult[GeneratorAnswer]]:
            model = self._model(role, escalation, purpose, sample.id, str(round))
            if temperature is not None:
                model = replace(model, sampling=replace(model.sampling, temperature=temperature, top_p=1.0))
            return generate(
                model,
                prefix,
                sample,
                prompt=(question, material),
                reflection=reflection,
                round=round,
                role=role,
                answer_schema=schema,
            )

        compared = role != "generator" or temperature is not None
        escalate = None if compared else self._settings.roles.generator.escalate
        return await self._call(ask, escalate, escalation_before(escalate, grade=grade, round=round))

    async def reflect(
        self,
        prefix: str,
        sample: Sample,
        answer: GeneratorAnswer,
        feedback: str,
        *,
        purpose: str,
        round: int,
        grade: float | None = None,
        stalled: bool = False,
    ) -> RoleResult[Reflection]:
        """Let the reflector judge `answer` by its `feedback`, and by the target where labels are given.

        `grade` is the score of the answer; `stalled` means that the smaller model's insights repeat themselves.
        """
        unlabelled = sample.without_target()
        labelled = sample if self._settings.adaptation.has_labels else unlabelled

        def ask(escalation: Escalation | None) -> Awaitable[RoleResult[Reflection]]:
            return reflect(
                self._model("reflector", escalation, purpose, sample.id, str(round)),
                prefix,
                labelled,
                answer,
                feedback,
                prompt=sample_prompt(self._task, self._pack, unlabelled),
                round=round,
            )

        escalate = self._settings.roles.reflector.escalate
        first = escalation_before(escalate, grade=grade, round=round, stalled=stalled)
        return await self._call(ask, escalate, first)

    async def reflect_together(
        self, samples: Sequence[Sample], *, purpose: str, group: int
    ) -> RoleResult[JointReflection]:
        """Let the reflector say what samples that share a target have in common."""

        def ask(escalation: Escalation | None) -> Awaitable[RoleResult[JointReflection]]:
            return reflect_together(
                self._model("reflector", escalation, purpose, "together", str(group)),
                samples,
                prompts=[sample_prompt(self._task, self._pack, sample.without_target()) for sample in samples],
            )

        return await self._call(ask, self._settings.roles.reflector.escalate, None)

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
        """Let the curator turn one group of reflections into operations; it sees the counters of the `touched` bullets.

        None, without a call, where the reflections have no insight.
        """
        insights = insight_lines(self._pack, reflections)
        if not insights:
            return None

        def ask(escalation: Escalation | None) -> Awaitable[RoleResult[Curation]]:
            return curate(
                self._model("curator", escalation, purpose, str(group)),
                prefix,
                insights,
                sections=playbook.sections,
                stats=bullet_stats(playbook, touched),
            )

        def insufficient(curation: Curation) -> bool:
            return is_insufficient(self._settings, self._pack, self._embedder, playbook, curation, reflections)

        return await self._call(ask, self._settings.roles.curator.escalate, None, needs_escalation=insufficient)

    async def _call(
        self,
        ask: Callable[[Escalation | None], Awaitable[RoleResult[Answer]]],
        settings: EscalationSettings | None,
        first: Escalation | None,
        *,
        needs_escalation: Callable[[Answer], bool] | None = None,
    ) -> RoleResult[Answer]:
        """Call the role's own model, and the larger one instead where `first` or the outcome is a reason.

        The larger model is called at most once, and its answer counts in any case; the call before it is in `earlier`.
        `needs_escalation` judges a parsed answer.
        """
        if settings is None or first is not None:
            return self._record(await ask(first), first)
        try:
            result = self._record(await ask(None), None)
        except PromptTooLongError:
            return self._record(await ask("prompt_tokens"), "prompt_tokens")
        if result.value is None:
            reason: Escalation | None = "parse_failure" if settings.parse_failure else None
        else:
            reason = "coverage" if needs_escalation is not None and needs_escalation(result.value) else None
        if reason is None:
            return result
        larger = self._record(await ask(reason), reason)
        return replace(larger, earlier=(*result.calls, *larger.earlier))

    def _model(self, role: RoleName, escalation: Escalation | None, *seed_parts: str) -> RoleModel:
        """The role's own model, or with `escalation` its larger one.

        Where there is a larger one, the own refuses prompts of more than `prompt_tokens`. The larger one gets a seed of
        its own, so that the store tells the two requests apart.
        """
        settings = self._settings.roles.of(role)
        binding = self._bindings.get(role, "own" if escalation is None else "larger")
        limit = settings.escalate.prompt_tokens if settings.escalate is not None and escalation is None else None
        if escalation is not None:
            seed_parts = (*seed_parts, "escalated")
        return RoleModel(
            partial(self._calls.complete, binding=binding, escalation=escalation, prompt_limit=limit),
            self._pack,
            Sampling(
                max_tokens=settings.max_tokens,
                temperature=settings.temperature,
                top_p=settings.top_p,
                seed=derive_seed(self._settings.seed, role, *seed_parts),
            ),
            guided=binding.backend.info.structured_outputs,
        )

    def _record(self, result: RoleResult[Answer], escalation: Escalation | None) -> RoleResult[Answer]:
        for call in result.calls:
            self._listener(_finished(call))
            if call.parsed:
                self._calls.accept(call.digest)
            else:
                self._calls.reject(call.digest)
                self._listener(CallFailed(call.role, f"ParseError: {call.error}"))
        earlier = tuple(replace(call, escalated=escalation) for call in result.earlier)
        return replace(result, call=replace(result.call, escalated=escalation), earlier=earlier)


def _finished(call: CallRecord) -> CallFinished:
    return CallFinished(
        call.role,
        call.usage,
        call.parsed,
        model=call.model,
        sample=call.sample_id,
        round=call.round,
        finish_reason=call.finish_reason,
        from_cache=call.from_cache,
        finished=call.finished,
    )
