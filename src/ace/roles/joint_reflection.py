"""The reflector on several wrong answers that share a target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ace.errors import PromptPackError
from ace.prompts import PromptPack
from ace.roles.answers import JointReflection
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


def name_phrases(pack: PromptPack, reflections: Mapping[str, Sequence[JointReflection]]) -> dict[str, list[str]]:
    """List what the reflections of each target name, without what is too long or stands in the prompt."""
    return {
        target: _usable(pack, target, (phrase for one in each for phrase in one.phrases))
        for target, each in reflections.items()
    }


def name_common(pack: PromptPack, reflections: Mapping[str, Sequence[JointReflection]]) -> dict[str, list[str]]:
    """List what the samples of each target have in common by its reflections, filtered as `name_phrases` does."""
    return {target: _usable(pack, target, (one.key_insight for one in each)) for target, each in reflections.items()}


def write_insight(pack: PromptPack, target: str, phrases: Sequence[str], common: str = "") -> str:
    """Write the insight about a target in the pack's form; empty without a phrase.

    `common` is what most of its samples have in common, `phrases` are examples of it, the best first.
    """
    if pack.together_insight is None:
        raise PromptPackError(f"prompt pack '{pack.name}' has no form of an insight for several samples")
    examples = [phrase for phrase in phrases if phrase != common][:MOST_PHRASES]
    if common and examples:
        case = f"{common} ({', '.join(examples)})"
    else:
        listed = examples or [common]
        case = " or ".join(filter(None, (", ".join(listed[:-1]), listed[-1])))
    return pack.together_insight.fill({"case": case, "target": target}) if case else ""


def _usable(pack: PromptPack, target: str, texts: Iterable[str]) -> list[str]:
    if pack.together is None:
        raise PromptPackError(f"prompt pack '{pack.name}' has no text for several samples together")
    prompt = f"{pack.preamble}\n{pack.together.text}"
    return [
        phrase
        for phrase in (text.strip(" .") for text in texts)
        if len(phrase.split()) <= LONGEST_PHRASE
        and find_repetition(phrase, questions=(), target=target, prompt=prompt) is None
    ]


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
