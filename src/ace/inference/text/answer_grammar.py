"""Grammars of JSON answers: white space where the layout has some, and texts that leave room for what follows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from typing import Any

from ace.types import TOKEN_SHARE, JsonLayout

_SEPARATORS: Mapping[JsonLayout, tuple[str, str]] = {"compact": (",", ":"), "spaced": (", ", ": ")}
_CHARACTERS = r'/([^"\\\x00-\x1F\x7F]|\\(["\\\/bfnrt]|u[0-9a-fA-F]{4}))*/'


def guidance_schema(schema: Mapping[str, Any], layout: JsonLayout) -> dict[str, Any]:
    """`schema` with the white space of `layout`, for llguidance."""
    item, key = _SEPARATORS[layout]
    return {**schema, "x-guidance": {"whitespace_flexible": False, "item_separator": item, "key_separator": key}}


def without_shares(schema: Mapping[str, Any]) -> dict[str, Any]:
    """`schema` without `TOKEN_SHARE`, which is no keyword of JSON schema."""
    fields = {
        name: {key: value for key, value in field.items() if key != TOKEN_SHARE}
        for name, field in schema.get("properties", {}).items()
    }
    return {**schema, "properties": fields} if fields else dict(schema)


@lru_cache(maxsize=256)
def bounded_grammar(schema: str, layout: JsonLayout, max_tokens: int) -> str:
    """The grammar of an object in llguidance's Lark, whose texts with a `TOKEN_SHARE` end at their share.

    A text that has reached it is closed in the middle of a sentence, so that the fields after it still come.
    """
    item, key = _SEPARATORS[layout]
    parts, rules, opening = [], [], "{"
    for number, (name, field) in enumerate(json.loads(schema)["properties"].items()):
        opening += json.dumps(name, ensure_ascii=False) + key
        if TOKEN_SHARE in field:
            most = max(1, int(field[TOKEN_SHARE] * max_tokens))
            rules.append(f"field_{number}[max_tokens={most}]: {_CHARACTERS}")
            opening, closing = opening + '"', '"'
        else:
            rules.append(f"field_{number}: %json {json.dumps(guidance_schema(field, layout))}")
            closing = ""
        parts += [json.dumps(opening, ensure_ascii=False), f"field_{number}"]
        opening = closing + item
    parts.append(json.dumps(opening.removesuffix(item) + "}"))
    return "\n".join([f"start: {' '.join(parts)}", *rules])


@lru_cache(maxsize=256)
def xgrammar_rules(schema: str, layout: JsonLayout) -> str:
    """The grammar of `schema` in xgrammar's notation, for servers. ImportError without xgrammar, which vLLM brings."""
    xgrammar: Any = import_module("xgrammar")
    return str(xgrammar.Grammar.from_json_schema(schema, any_whitespace=False, separators=_SEPARATORS[layout]))
