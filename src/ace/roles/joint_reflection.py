"""The reflector on several wrong answers that share a target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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

_PHRASE = {"type": "string", "pattern": r"^[^\x00-\x1f\",.\\]+$", "maxLength": 60}


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

    def named(target: str, texts: Iterable[str]) -> list[str]:
        return [
            phrase
            for phrase in (text.strip(" .") for text in texts)
            if len(phrase.split()) <= LONGEST_PHRASE
            and find_repetition(phrase, questions=(), target=target, prompt=prompt) is None
        ]

    phrases = {
        target: named(target, (text for one in each for text in one.phrases)) for target, each in reflections.items()
    }
    common = {target: named(target, (one.key_insight for one in each)) for target, each in reflections.items()}
    shared = distinctive_phrases(common, questions)
    return {
        target: pack.together_insight.fill({"case": _describe(shared[target], own), "target": target}) if own else ""
        for target, own in distinctive_phrases(phrases, questions).items()
    }


def _schema(samples: int) -> Mapping[str, Any]:
    """A phrase for each sample, then one for all.

    Phrases end at the first comma or full stop: after it, small models go on to the next detail.
    """
    fields = {
        "reasoning": {"type": "array", "items": _PHRASE, "minItems": samples, "maxItems": samples},
        "key_insight": _PHRASE,
    }
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


def _describe(common: Sequence[str], phrases: Sequence[str]) -> str:
    """Describe what most samples have in common, with the other phrases as examples; else these alone."""
    examples = [phrase for phrase in phrases if phrase not in common[:1]][:MOST_PHRASES]
    if common and examples:
        return f"{common[0]} ({', '.join(examples)})"
    examples = examples or list(common[:1])
    return " or ".join(filter(None, (", ".join(examples[:-1]), examples[-1])))
