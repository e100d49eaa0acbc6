"""The curator: turns the insights of a batch into operations on the playbook."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ace.playbook.bullet import Provenance
from ace.playbook.delta import Add, Delta, Merge, Operation, Remove, Tag, Update
from ace.playbook.playbook import Playbook, Section
from ace.playbook.section_names import section_for
from ace.prompts import PromptPack
from ace.roles.answers import AddOp, BulletTag, Curation, MergeOp, Reflection, UpdateOp
from ace.roles.insight_check import find_repetition
from ace.roles.json_schema import pack_schema, rendered_ids
from ace.roles.reflector import reflection_values
from ace.roles.role_call import RoleModel, RoleResult, call_role


async def curate(
    model: RoleModel,
    playbook: str,
    insights: Sequence[str],
    *,
    sections: Sequence[Section],
    stats: str = "",
    round: int = 0,
) -> RoleResult[Curation]:
    """Turn `insights`, the `insight_lines` of a batch, into operations on the rendered `playbook`.

    `sections` are the playbook's: the only ones a guided curator can add to. `stats` is `bullet_stats` of the bullets
    that the batch touched; it is part of the user message, because counters never enter the prefix.
    """
    values = {
        "insights": "\n".join(insights),
        "sections": "\n".join(f"- {section.slug}: {section.title}" for section in sections),
        "stats": stats,
        "ids": ", ".join(rendered_ids(playbook)),
    }
    schema = pack_schema(model.pack, Curation, playbook, sections=tuple(section.slug for section in sections))
    request = model.request(model.pack.messages("curator", playbook, values), schema)
    result = await call_role(model, request, Curation, role="curator", sample_id=None, round=round)
    return _drop_repetitions(model.pack, result, values["sections"])


def _drop_repetitions(pack: PromptPack, result: RoleResult[Curation], sections: str) -> RoleResult[Curation]:
    """`result` without bullets that only repeat what the prompt says; the call's record names them.

    For packs that bound their answers; the others are for models that were trained or tuned on them.
    """
    if result.value is None or pack.answers is None:
        return result
    prompt = f"{pack.templates['curator'].text}\n{sections}"
    repeated = [
        op
        for op in result.value.operations
        if isinstance(op, AddOp | UpdateOp | MergeOp)
        and find_repetition(op.content, questions=(), target="", prompt=prompt) is not None
    ]
    if not repeated:
        return result
    notes = (f"bullet left out: it repeats the prompt: {op.content[:200]!a}" for op in repeated)
    remaining = [op for op in result.value.operations if op not in repeated]
    return result.amended(result.value.model_copy(update={"operations": remaining}), *notes)


def insight_lines(pack: PromptPack, reflections: Iterable[Reflection]) -> tuple[str, ...]:
    """The pack's `insight` text of every distinct insight, in order. White space is folded: one cannot forge two."""
    lines: dict[str, None] = {}
    for reflection in reflections:
        values = {name: " ".join(text.split()) for name, text in reflection_values(reflection).items()}
        for part in pack.split_insights(reflection.key_insight):
            lines[pack.insight.fill({**values, "insight": " ".join(part.split())})] = None
    return tuple(lines)


def bullet_stats(playbook: Playbook, ids: Iterable[str]) -> str:
    """One line of counters for each live bullet among `ids`, in the playbook's order."""
    touched = set(ids)
    return "\n".join(
        f"- {bullet.id}: helpful {bullet.counters.helpful}, harmful {bullet.counters.harmful}, "
        f"neutral {bullet.counters.neutral}, used {bullet.counters.uses}"
        for bullet in playbook.bullets
        if bullet.id in touched
    )


def to_delta(curation: Curation, provenance: Provenance, sections: Sequence[Section] = ()) -> Delta:
    """The curation as a delta. A section is the one of `sections` that its name means (`section_for`)."""
    operations: list[Operation] = []
    for op in curation.operations:
        match op:
            case AddOp():
                section = section_for(op.section, sections).slug
                operations.append(Add(section=section, content=op.content, reason=op.reason, provenance=provenance))
            case UpdateOp():
                operations.append(Update(id=op.id, content=op.content, reason=op.reason, provenance=provenance))
            case MergeOp():
                operations.append(
                    Merge(ids=tuple(op.ids), content=op.content, section=None, reason=op.reason, provenance=provenance)
                )
            case _:
                operations.append(Remove(id=op.id, reason=op.reason, provenance=provenance))
    return Delta(operations=tuple(operations))


def tags_to_delta(tags: Iterable[BulletTag], used: Iterable[str] = ()) -> Delta:
    """One sample's tags as a delta: `used` first, then each tagged bullet once, its first tag counting."""
    first: dict[str, BulletTag] = {}
    for tag in tags:
        first.setdefault(tag.id, tag)
    operations: list[Operation] = [Tag(id=bullet, tag="used") for bullet in dict.fromkeys(used)]
    operations.extend(Tag(id=tag.id, tag=tag.tag) for tag in first.values())
    return Delta(operations=tuple(operations))
