"""The JSON schema that an engine is given to guide an answer: only what engines understand, nothing left to choose."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from pydantic import BaseModel

from ace.prompts import OPERATIONS

_KEPT = ("type", "enum", "const", "pattern", "minItems")


@lru_cache(maxsize=256)
def response_schema(
    model: type[BaseModel],
    *,
    omit: frozenset[str] = frozenset(),
    operations: tuple[str, ...] = OPERATIONS,
    sections: tuple[str, ...] = (),
) -> Mapping[str, Any]:
    """`model`'s schema without `$ref`, every field required, none added, in declaration order. Read-only: it is shared.

    `omit` names fields to prune everywhere; a curator may propose `operations` alone, and add to `sections` alone if
    there are any. Texts stay plain strings: lengths would let raw control characters through in xgrammar.
    """
    full = model.model_json_schema()
    definitions: Mapping[str, Any] = full.get("$defs", {})

    def plain(node: Mapping[str, Any]) -> dict[str, Any]:
        if "$ref" in node:
            return plain(definitions[node["$ref"].rpartition("/")[2]])
        if "oneOf" in node:
            branches = [plain(branch) for branch in node["oneOf"]]
            kept = [branch for branch in branches if branch["properties"]["type"]["const"] in operations]
            return kept[0] if len(kept) == 1 else {"anyOf": kept}
        if "properties" in node:
            fields = {name: plain(field) for name, field in node["properties"].items() if name not in omit}
            if sections and "section" in fields:
                fields["section"] = {"type": "string", "enum": list(sections)}
            return {
                "type": "object",
                "properties": fields,
                "required": list(fields),
                "additionalProperties": False,
            }
        result = {key: node[key] for key in _KEPT if key in node}
        if "items" in node:
            result["items"] = plain(node["items"])
        return result

    return plain(full)
