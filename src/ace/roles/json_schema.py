"""The JSON schema that guides an answer, limited to what engines support."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from pydantic import BaseModel

from ace.prompts import OPERATIONS, PromptPack
from ace.types import TOKEN_SHARE

MOST_LISTED = 1_000
"""Bullets that a schema lists by their ids. Of more it asks for the form of an id alone, and what names none is left
out afterwards: each batch's playbook is a schema of its own, which takes 20 characters an id to send and compile."""

BULLET_ID = "^[a-z]{2,6}-[0-9]{5}$"
_ID_IN_PROMPT = re.compile(r"(?<!\\)\[([a-z]{2,6}-[0-9]{5})\]")
_COPIED_KEYS = ("type", "enum", "const", "pattern", "minItems")


@lru_cache(maxsize=256)
def response_schema(
    model: type[BaseModel],
    *,
    omit: frozenset[str] = frozenset(),
    operations: tuple[str, ...] = OPERATIONS,
    sections: tuple[str, ...] = (),
    bullets: tuple[str, ...] | None = None,
    most_bullets: int | None = None,
    most_operations: int | None = None,
    bounded: bool = False,
) -> Mapping[str, Any]:
    """`model`'s schema without `$ref`, every field required, none added, in declaration order. Read-only: it is shared.

    `omit` names fields to prune everywhere; a curator may propose `operations` alone, and add to `sections` alone if
    there are any. An answer can name `bullets` alone, if given: where there are none, it has no field for them, and a
    curator begins the playbook: small models call a finding new and then write an empty list.
    `most_bullets` and `most_operations` end lists; where `bounded`, texts carry their `TOKEN_SHARE` or `maxLength`.
    """
    full = model.model_json_schema()
    copied = (*_COPIED_KEYS, "maxLength", TOKEN_SHARE) if bounded else _COPIED_KEYS
    definitions: Mapping[str, Any] = full.get("$defs", {})

    def plain(node: Mapping[str, Any]) -> dict[str, Any]:
        if "$ref" in node:
            return plain(definitions[node["$ref"].rpartition("/")[2]])
        if "oneOf" in node:
            branches = [plain(branch) for branch in node["oneOf"]]
            possible = [name for name in operations if name == "ADD" or bullets != ()]
            allowed = [branch for branch in branches if branch["properties"]["type"]["const"] in possible]
            return allowed[0] if len(allowed) == 1 else {"anyOf": allowed}
        if "properties" in node:
            left_out = omit if bullets != () else omit | {"bullet_ids", "bullet_tags"}
            fields = {name: plain(field) for name, field in node["properties"].items() if name not in left_out}
            for name, most in (
                ("bullet_ids", most_bullets),
                ("bullet_tags", most_bullets),
                ("ids", most_bullets),
                ("operations", most_operations),
            ):
                if name in fields and most is not None:
                    fields[name] = {**fields[name], "maxItems": most}
            if bullets == () and "operations" in fields:
                fields["operations"] = {**fields["operations"], "minItems": 1}
            if sections and "section" in fields:
                fields["section"] = {"type": "string", "enum": list(sections)}
            return {
                "type": "object",
                "properties": fields,
                "required": list(fields),
                "additionalProperties": False,
            }
        result = {key: node[key] for key in copied if key in node}
        if bullets is not None and len(bullets) <= MOST_LISTED and node.get("pattern") == BULLET_ID:
            return {"type": "string", "enum": list(bullets)}
        if "items" in node:
            result["items"] = plain(node["items"])
        return result

    return plain(full)


def pack_schema(
    pack: PromptPack,
    model: type[BaseModel],
    playbook: str,
    *,
    sections: tuple[str, ...] = (),
    omit: frozenset[str] = frozenset(),
) -> Mapping[str, Any]:
    """The schema of `model` under the rules of `pack`, for a prompt that shows the rendered `playbook`."""
    if pack.answers is None:
        return response_schema(model, omit=pack.omit | omit, operations=pack.operations, sections=sections)
    return response_schema(
        model,
        omit=pack.omit | omit,
        operations=pack.operations,
        sections=sections,
        bullets=rendered_ids(playbook),
        most_bullets=pack.answers.most_bullets,
        most_operations=pack.answers.most_operations,
        bounded=True,
    )


@lru_cache(maxsize=64)
def rendered_ids(playbook: str) -> tuple[str, ...]:
    """The ids of the bullets in a rendered playbook, each once; an id that a bullet's text mentions is none."""
    return tuple(dict.fromkeys(_ID_IN_PROMPT.findall(playbook)))
