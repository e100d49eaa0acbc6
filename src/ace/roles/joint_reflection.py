"""The reflector on several wrong answers that share a target."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ace.prompts import PromptPack
from ace.roles.answers import Reflection
from ace.roles.insight_check import find_repetition
from ace.roles.json_schema import pack_schema
from ace.roles.reflector import drop_repetition
from ace.roles.role_call import Complete, RoleResult, call_role
from ace.types import Request, Sample, Sampling

LONGEST_TARGET = 80
"""Characters of a target that an insight is made to repeat word for word."""

_PHRASE = r"[^\x00-\x1f\",.\\]+"
_CASE = "\x00"
_PLAIN = re.compile(r"[^\x00-\x1f\"\\]+")


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

    Of a single one only the case is asked for, and no bullets are shown: a small model copies their cases. The call is
    recorded with the first sample.
    """
    first = samples[0].sample
    entries = [
        {"question": question, "context": context, "answer": answered.answer}
        for (question, context), answered in zip(prompts, samples, strict=True)
    ]
    request = Request(
        messages=pack.joint_messages(
            playbook if len(samples) > 1 else pack.formats.empty, entries, target=first.target or ""
        ),
        sampling=sampling,
        schema=_schema(pack, first.target or "", len(samples)) if guided else None,
        layout=pack.layout,
    )
    result = await call_role(
        complete, request, Reflection, role="reflector", sample_id=first.id, round=0, again=pack.again
    )
    return drop_repetition(pack, result, questions=[question for question, _ in prompts], target=first.target or "")


def _schema(pack: PromptPack, target: str, samples: int) -> Mapping[str, Any]:
    """A few words on each sample, and an insight in the pack's form, where it has one that can hold the target.

    Texts end at the first comma or full stop instead of after so many characters: a grammar that counts takes xgrammar
    seconds to compile for each target, one that does not a fraction of one.
    """
    schema = pack_schema(pack, Reflection, "")
    if pack.together_insight is None or len(target) > LONGEST_TARGET or not _PLAIN.fullmatch(target):
        return schema
    rule = pack.together_insight.fill({"case": _CASE, "target": target})
    pattern = "".join(_PHRASE if part == _CASE else _literal(part) for part in re.split(f"({_CASE})", rule))
    subjects = {"type": "array", "items": {"type": "string", "pattern": f"^{_PHRASE}$"}}
    fields: dict[str, Any] = {"key_insight": {"type": "string", "pattern": f"^{pattern}$"}}
    if samples > 1 or pack.case is None:
        fields = {"reasoning": {**subjects, "minItems": samples, "maxItems": samples}, **fields}
    return {**schema, "properties": fields, "required": list(fields)}


def join_cases(pack: PromptPack, insights: Iterable[str], target: str) -> str:
    """One insight of the pack's form for all cases that `insights` of that form name; empty where there are none.

    A case that stands in the pack's own text or in the task's instructions is left out: the model has repeated it.
    """
    if pack.together_insight is None:
        return ""
    before, _, after = pack.together_insight.fill({"case": _CASE, "target": target}).partition(_CASE)
    form = re.compile(f"{re.escape(before)}(.+){re.escape(after)}")
    cases = [match.group(1).strip() for insight in insights if (match := form.fullmatch(insight.strip()))]
    repeatable = f"{pack.preamble}\n{pack.case.text if pack.case is not None else ''}"
    distinct = [case for case in cases if find_repetition(case, questions=(), target=target, prompt=repeatable) is None]
    return f"{before}{' or '.join(dict.fromkeys(distinct))}{after}" if distinct else ""


def _literal(text: str) -> str:
    return re.sub(r"([.^$*+?()\[\]{}|\\])", r"\\\1", text)
