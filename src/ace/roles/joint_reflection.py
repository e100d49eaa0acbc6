"""The reflector on several samples at once: what those that were answered wrongly have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ace.prompts import PromptPack
from ace.roles.answers import Reflection
from ace.roles.json_schema import pack_schema
from ace.roles.reflector import drop_repetition
from ace.roles.role_call import Complete, RoleResult, call_role
from ace.types import Request, Sample, Sampling


@dataclass(frozen=True, slots=True)
class AnsweredSample:
    """A sample and the answer that was wrong."""

    sample: Sample
    answer: str


async def reflect_together(
    complete: Complete,
    pack: PromptPack,
    playbook: str,
    samples: Sequence[AnsweredSample],
    *,
    sampling: Sampling,
    guided: bool,
    prompts: Sequence[tuple[str, str]],
) -> RoleResult[Reflection]:
    """Reflect on `samples`, which share a target, in one call. `prompts` are their questions and contexts.

    The call is recorded with the first sample.
    """
    first = samples[0].sample
    entries = [
        {"question": question, "context": context, "answer": answered.answer}
        for (question, context), answered in zip(prompts, samples, strict=True)
    ]
    request = Request(
        messages=pack.joint_messages(playbook, entries, target=first.target or ""),
        sampling=sampling,
        schema=pack_schema(pack, Reflection, "") if guided else None,
        layout=pack.layout,
    )
    result = await call_role(
        complete, request, Reflection, role="reflector", sample_id=first.id, round=0, again=pack.again
    )
    return drop_repetition(pack, result, questions=[question for question, _ in prompts], target=first.target or "")
