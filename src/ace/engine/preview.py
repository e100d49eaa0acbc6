"""What each role will be asked, without a model: the very requests of a run, for one sample."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from ace.config import RunSettings
from ace.engine.feedback.signals import NO_FEEDBACK, has_labels, shown, without_target
from ace.engine.run_inputs import RunInputs
from ace.playbook import render
from ace.roles import Complete, GeneratorAnswer, Reflection, curate, generate, reflect
from ace.tasks import InteractiveTask, abilities_of
from ace.types import Completion, Observation, Request, RoleName, Sample, Sampling, Score, Usage

PLACEHOLDER = "(what the model says)"


@dataclass(frozen=True, slots=True)
class Preview:
    """One sample: the requests by role, how its own target and an empty answer are graded, what is observed of that.

    `perfect` and `empty` are None for a task of several steps, which grades worlds.
    """

    sample: Sample
    requests: Mapping[RoleName, Request]
    perfect: Score | None
    empty: Score | None
    observed: Observation | None


async def preview(settings: RunSettings, parts: RunInputs, sample: Sample) -> Preview:
    """What a run of `settings` would ask and say about `sample`. Grading is done for real, and may run code."""
    task, pack = parts.task, parts.pack
    seen = without_target(sample)
    asked = _Asked()
    prompt = task.prompt(seen)
    prefix = render(parts.playbook, pack.formats)
    abilities = abilities_of(task)
    schema = abilities.schema.answer_schema(seen) if abilities.schema else None
    sampling = Sampling()
    steps = isinstance(task, InteractiveTask)
    answer = sample.target or ""
    perfect = None if steps or sample.target is None else task.grade(sample, answer)
    empty = None if steps else task.grade(sample, "")
    observed = abilities.observing.observe(seen, "") if abilities.observing and not steps else None
    feedback = empty.feedback if empty is not None and has_labels(settings) else NO_FEEDBACK
    if observed is not None and not has_labels(settings):
        feedback = observed.text or NO_FEEDBACK
    await generate(
        asked.by("generator"), pack, prefix, sample, sampling=sampling, guided=True, prompt=prompt, answer_schema=schema
    )
    await reflect(
        asked.by("reflector"),
        pack,
        prefix,
        shown(settings, [sample])[0],
        GeneratorAnswer(reasoning=PLACEHOLDER, final_answer=""),
        feedback,
        sampling=sampling,
        guided=True,
        prompt=prompt,
    )
    insight = Reflection(key_insight=PLACEHOLDER)
    await curate(
        asked.by("curator"), pack, prefix, [insight], sections=parts.playbook.sections, sampling=sampling, guided=True
    )
    return Preview(sample, asked.requests, perfect, empty, observed)


class _Asked:
    """Keeps the requests and answers nothing of use."""

    def __init__(self) -> None:
        self.requests: dict[RoleName, Request] = {}

    def by(self, role: RoleName) -> Complete:
        async def complete(request: Request) -> Completion:
            self.requests[role] = request
            return Completion(json.dumps({}), "stop", Usage(), "none")

        return complete
