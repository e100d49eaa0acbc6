"""The grammar of a JSON answer: white space where its layout has some, and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from typing import Any

from ace.types import JsonLayout

_WHITE_SPACE: Mapping[JsonLayout, Mapping[str, Any]] = {
    "compact": {"separators": (",", ":")},
    "spaced": {"separators": (", ", ": ")},
    "indented": {"indent": 2, "separators": (",", ": ")},
}


@lru_cache(maxsize=256)
def json_grammar(schema: str, layout: JsonLayout) -> str:
    """The grammar of `schema` in xgrammar's notation. ImportError without xgrammar, which vLLM brings."""
    xgrammar: Any = import_module("xgrammar")
    return str(xgrammar.Grammar.from_json_schema(schema, any_whitespace=False, **_WHITE_SPACE[layout]))
