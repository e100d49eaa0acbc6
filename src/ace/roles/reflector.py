"""The reflector: finds in the feedback what went wrong and which bullets helped or harmed."""

from __future__ import annotations

from collections.abc import Sequence

from ace.prompts import PromptPack
from ace.roles.answers import GeneratorAnswer, Reflection
from ace.roles.insight_check import find_repetition
from ace.roles.json_schema import pack_schema, rendered_ids
from ace.roles.role_call import RoleModel, RoleResult, call_role
from ace.types import Sample


async def reflect(
    model: RoleModel,
    playbook: str,
    sample: Sample,
    answer: GeneratorAnswer,
    feedback: str,
    *,
    prompt: tuple[str, str] | None = None,
    round: int = 0,
) -> RoleResult[Reflection]:
    """Reflect on `answer` in the light of `feedback` (ACE, section 3).

    Without labels, pass a sample whose target is None: the prompt then has no target. Of the bullets that the answer
    names, only those that the rendered `playbook` shows are asked about.
    """
    question, context = prompt or (sample.question, sample.context)
    values = {
        "question": question,
        "context": context,
        "reasoning": answer.reasoning,
        "answer": answer.final_answer,
        "feedback": feedback,
        "target": sample.target or "",
        "bullets": ", ".join(bullet for bullet in dict.fromkeys(answer.bullet_ids) if bullet in playbook),
        "ids": ", ".join(rendered_ids(playbook)),
    }
    messages = model.pack.messages("reflector", playbook, values)
    request = model.request(messages, pack_schema(model.pack, Reflection, playbook))
    result = await call_role(model, request, Reflection, role="reflector", sample_id=sample.id, round=round)
    return drop_repetition(model.pack, result, questions=(question, context), target=sample.target or "")


def drop_repetition(
    pack: PromptPack, result: RoleResult[Reflection], *, questions: Sequence[str], target: str
) -> RoleResult[Reflection]:
    """`result` without its insight where that only repeats what the prompt says; the call's record says so.

    For packs that bound their answers; the others are for models that were trained or tuned on them.
    """
    if result.value is None or pack.answers is None:
        return result
    repeated = find_repetition(
        result.value.key_insight, questions=questions, target=target, prompt=pack.templates["reflector"].text
    )
    if repeated is None:
        return result
    note = f"insight left out: it repeats {repeated}: {result.value.key_insight[:200]!a}"
    return result.amended(result.value.model_copy(update={"key_insight": ""}), note)


def reflection_text(pack: PromptPack, reflection: Reflection) -> str:
    """Render `reflection` for the generator's retry."""
    return pack.reflection.fill({**reflection_values(reflection), "insight": reflection.key_insight})


def reflection_values(reflection: Reflection) -> dict[str, str]:
    """The reflection's texts by placeholder."""
    return {
        "error_identification": reflection.error_identification,
        "root_cause_analysis": reflection.root_cause_analysis,
        "correct_approach": reflection.correct_approach,
        "key_insight": reflection.key_insight,
    }
