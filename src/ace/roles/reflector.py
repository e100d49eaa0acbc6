"""The reflector: works out from the feedback what went wrong and which bullets helped or harmed."""

from __future__ import annotations

from ace.prompts import PromptPack
from ace.roles.answers import GeneratorAnswer, Reflection, response_schema
from ace.roles.role_call import Complete, RoleResult, call_role
from ace.types import Request, Sample, Sampling


async def reflect(
    complete: Complete,
    pack: PromptPack,
    playbook: str,
    sample: Sample,
    answer: GeneratorAnswer,
    feedback: str,
    *,
    sampling: Sampling,
    guided: bool,
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
    }
    request = Request(
        messages=pack.messages("reflector", playbook, values),
        sampling=sampling,
        schema=response_schema(Reflection, omit=pack.omit) if guided else None,
    )
    return await call_role(complete, request, Reflection, role="reflector", sample_id=sample.id, round=round)


def reflection_text(pack: PromptPack, reflection: Reflection) -> str:
    """What the generator is shown of `reflection` when it tries again."""
    return pack.reflection.fill({**reflection_values(reflection), "insight": reflection.key_insight})


def reflection_values(reflection: Reflection) -> dict[str, str]:
    """The reflection's texts by placeholder."""
    return {
        "error_identification": reflection.error_identification,
        "root_cause_analysis": reflection.root_cause_analysis,
        "correct_approach": reflection.correct_approach,
        "key_insight": reflection.key_insight,
    }
