"""Preview of a sample without a model: its requests and its grade."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ace.config import ModelSettings, RunSettings
from ace.engine.calls.escalation import Escalation
from ace.engine.calls.role_runner import RoleRunner
from ace.engine.feedback.feedback import NO_FEEDBACK
from ace.engine.run_inputs import RunInputs
from ace.errors import ProviderMissingError
from ace.inference import ModelBinding, ScriptedBackend, bind, resolve_auto
from ace.playbook import NgramEmbedder, render
from ace.roles import GeneratorAnswer, Reflection
from ace.tasks import InteractiveTask, abilities_of
from ace.types import Completion, Observation, Request, RoleName, Sample, Score

PLACEHOLDER = "(the model's text)"

_PURPOSE = "batch-0"


@dataclass(frozen=True, slots=True)
class Preview:
    """The requests of one sample by role, the grades of its target and of an empty answer, and what the task observes.

    `perfect` and `empty` are None for a task of several steps, which grades environments.
    """

    sample: Sample
    requests: Mapping[RoleName, Request]
    perfect: Score | None
    empty: Score | None
    observed: Observation | None


async def preview(settings: RunSettings, inputs: RunInputs, sample: Sample) -> Preview:
    """Make the requests of a first batch with `sample`, with placeholders for the answers that they build on.

    Grading is done for real, and may run code.
    """
    task = inputs.task
    unlabelled = sample.without_target()
    interactive = isinstance(task, InteractiveTask)
    perfect = None if interactive or sample.target is None else task.grade(sample, sample.target)
    empty = None if interactive else task.grade(sample, "")
    observing = abilities_of(task).observing
    observed = observing.observe(unlabelled, "") if observing and not interactive else None
    feedback = empty.feedback if empty is not None and settings.adaptation.has_labels else NO_FEEDBACK
    if observed is not None and not settings.adaptation.has_labels:
        feedback = observed.text or NO_FEEDBACK

    recorder = _Recorder()
    models = {name: _offline_backend(settings.models[name]) for name in settings.models_used}
    roles = RoleRunner(settings, task, inputs.pack, bind(settings, models), recorder, NgramEmbedder())
    prefix = render(inputs.playbook, inputs.pack.formats)
    answer = GeneratorAnswer(reasoning=PLACEHOLDER, final_answer="")
    reflections = [Reflection(key_insight=PLACEHOLDER)]
    await roles.generate(prefix, sample, purpose=_PURPOSE)
    await roles.reflect(prefix, sample, answer, feedback, purpose=_PURPOSE, round=1)
    await roles.curate(inputs.playbook, prefix, reflections, touched=(), purpose=_PURPOSE, group=0)
    return Preview(sample, recorder.requests, perfect, empty, observed)


class _Recorder:
    """Records the first request of each role, and answers none of them in a way that could be parsed."""

    def __init__(self) -> None:
        self.requests: dict[RoleName, Request] = {}

    async def complete(
        self,
        request: Request,
        binding: ModelBinding,
        escalation: Escalation | None = None,
        *,
        prompt_limit: int | None = None,
    ) -> Completion:
        self.requests.setdefault(binding.role, request)
        return await binding.backend.complete(request)

    def accept(self, digest: str) -> None: ...

    def reject(self, digest: str) -> None: ...


def _offline_backend(settings: ModelSettings) -> ScriptedBackend:
    """Stand in for a model: guided by schemas where its provider is, so that the requests have them."""
    backend = ScriptedBackend(lambda _: "", model=settings.model, record=False)
    provider: str = settings.provider
    if provider == "auto":
        try:
            provider = resolve_auto().provider
        except ProviderMissingError:
            provider = "vllm"
    backend.info = replace(backend.info, provider=provider, structured_outputs=provider != "huggingface")
    return backend
