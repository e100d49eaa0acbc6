"""The reflector on several wrong answers that share a target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ace.errors import PromptPackError
from ace.prompts import PromptPack
from ace.roles.answers import JointReflection
from ace.roles.contrast import distinctive_phrases
from ace.roles.insight_check import find_repetition
from ace.roles.role_call import RoleModel, RoleResult, call_role
from ace.types import Sample

LONGEST_PHRASE = 6
"""Words of a phrase: a longer one copies the question."""
MOST_PHRASES = 8
"""Phrases in one insight: small models choose the longest bullet, whatever the question."""

_PHRASE = {"type": "string", "pattern": r"^[^\x00-\x1f\",.\\]+$"}


async def reflect_together(
    model: RoleModel, samples: Sequence[Sample], *, prompts: Sequence[tuple[str, str]]
) -> RoleResult[JointReflection]:
    """Ask once what `samples`, which share a target, are about. `prompts` are their questions and contexts.

    No bullets are shown, because a small model copies them. The call is recorded with the first sample.
    """
    entries = [{"question": question, "context": context} for question, context in prompts]
    request = model.request(model.pack.joint_messages(entries), _schema(len(samples)))
    return await call_role(model, request, JointReflection, role="reflector", sample_id=samples[0].id, round=0)


def write_insights(
    pack: PromptPack, reflections: Mapping[str, Sequence[JointReflection]], questions: Mapping[str, Sequence[str]]
) -> dict[str, str]:
    """Write one insight for each target, in the pack's form, from what its reflections name; empty without a phrase.

    Phrases that the prompt has, or that other targets share by `questions`, are left out.
    """
    if pack.together_insight is None or pack.together is None:
        raise PromptPackError(f"prompt pack '{pack.name}' has no form of an insight for several samples")
    prompt = f"{pack.preamble}\n{pack.together.text}"
    named = {
        target: [
            phrase
            for phrase in (text.strip(" .") for reflection in each for text in reflection.phrases)
            if len(phrase.split()) <= LONGEST_PHRASE
            and find_repetition(phrase, questions=(), target=target, prompt=prompt) is None
        ]
        for target, each in reflections.items()
    }
    form = pack.together_insight
    return {
        target: form.fill({"case": _enumerate(phrases[:MOST_PHRASES]), "target": target}) if phrases else ""
        for target, phrases in distinctive_phrases(named, questions).items()
    }


def _schema(samples: int) -> Mapping[str, Any]:
    """A phrase for each sample, then one for all.

    Phrases end at the first comma or full stop instead of after so many characters: a grammar that counts takes
    xgrammar seconds to compile.
    """
    fields = {
        "reasoning": {"type": "array", "items": _PHRASE, "minItems": samples, "maxItems": samples},
        "key_insight": _PHRASE,
    }
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


def _enumerate(phrases: Sequence[str]) -> str:
    return " or ".join(filter(None, (", ".join(phrases[:-1]), phrases[-1])))
