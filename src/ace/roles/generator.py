"""The generator: answers a question with the help of the playbook and cites the bullets that it used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ace.prompts import PromptPack
from ace.roles.answers import GeneratorAnswer
from ace.roles.json_schema import pack_schema, rendered_ids
from ace.roles.role_call import RoleModel, RoleResult, call_role
from ace.types import RoleName, Sample


async def generate(
    model: RoleModel,
    playbook: str,
    sample: Sample,
    *,
    prompt: tuple[str, str] | None = None,
    reflection: str = "",
    round: int = 0,
    role: RoleName = "generator",
    answer_schema: Mapping[str, Any] | None = None,
) -> RoleResult[GeneratorAnswer]:
    """Answer `sample` behind the rendered `playbook` (ACE, section 3).

    `prompt` is the task's (question, context), the sample's own fields if None. `reflection` is `reflection_text` of
    the last reflection on a retry. `answer_schema` is that of the final answer, where it is not a text. `role` is
    recorded with the call: whose model was asked.
    """
    pack = model.pack
    question, context = prompt or (sample.question, sample.context)
    values = {
        "question": question,
        "context": context,
        "reflection": reflection,
        # Without reasoning, the grammar asks for the bullet after the answer: named in the prompt, it costs answers.
        "ids": "" if model.guided and not pack.reasons else ", ".join(rendered_ids(playbook)),
    }
    request = model.request(pack.messages("generator", playbook, values), _schema(pack, playbook, answer_schema))
    return await call_role(model, request, GeneratorAnswer, role=role, sample_id=sample.id, round=round)


def _schema(pack: PromptPack, playbook: str, final_answer: Mapping[str, Any] | None) -> Mapping[str, Any]:
    omit = frozenset[str]() if pack.reasons else frozenset({"reasoning"})
    schema = pack_schema(pack, GeneratorAnswer, playbook, omit=omit)
    fields = dict(schema["properties"])
    if final_answer is not None:
        fields["final_answer"] = dict(final_answer)
    if pack.answers is not None and "bullet_ids" in fields:
        ids = {**fields.pop("bullet_ids"), "maxItems": pack.answers.most_used}
        answer = fields.pop("final_answer")
        if not pack.reasons:
            fields |= {"final_answer": answer, "bullet_ids": ids}
        elif pack.answers.ids_first:
            fields = {"bullet_ids": ids, **fields, "final_answer": answer}
        else:
            fields |= {"bullet_ids": ids, "final_answer": answer}
    return {**schema, "properties": fields, "required": list(fields)}
