"""Reading of JSON as models write it: embedded in text, truncated or broken."""

from __future__ import annotations

import ast
import contextlib
import json
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final, NamedTuple

import json_repair

from ace._util.python_source import parse_python

MOST_OBJECTS: Final = 100
"""Limit of the places that are tried as the beginning of an object."""
MOST_REPAIRED: Final = 32_000
MOST_REPAIR_WORK: Final = 400_000
MOST_REPAIR_QUOTES: Final = 1_000
"""A broken object is repaired up to this many characters, characters x brackets, and quotes: json_repair's time grows
with them, to minutes for what a runaway model can write."""


class Number(str):
    """A JSON number as the model wrote it: `3.10` stays `3.10`, and a thousand digits are no error."""

    __slots__ = ()


class PythonNone(str):
    """Python's `None` where JSON has null: nothing, but of a final answer it may be the word."""

    __slots__ = ()


class FoundObject(NamedTuple):
    """A decoded object and its place in the text."""

    value: Any
    start: int
    end: int


# strict=False forgives raw newlines inside strings.
_DECODER = json.JSONDecoder(strict=False, parse_int=Number, parse_float=Number, parse_constant=Number)
_OBJECT = re.compile(r'\{\s*["}]')
_QUOTE = re.compile(r"(?<!\\)((?:\\\\)*)\\'")
_CONSTANTS: Final = {"None": "null", "True": "true", "False": "false", "undefined": "null"}
_SCALAR = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?|true|false|null|NaN|-?Infinity")
_NAMES: Final = {"true": True, "false": False, "null": None, "undefined": None}
_WRITTEN = re.compile(r"[\w .+\-*/%^]+")
_BARE = re.compile(
    r"""((?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')\s*:\s*)"""  # a key
    r'([^\s"\'{\[\]},][^"\'{}\[\]\n]*?)'  # a value without quotes
    r"(\s*)(?=,\s*[\"'\n}]|\}|\n)"  # and what ends it
)
_WIDE_COLON = re.compile('"\\s*：')
_WIDE_COMMA = re.compile(r'(["\]}\d])\s*，\s*(?=["}])')
_COMMENT = re.compile(r"\s+(?://|#|/\*).*")
_NO_VALUE = re.compile(r'"(?:[^"\\]|\\.)*"\s*:\s*(?:,|(?=\}))')


def decode(text: str) -> Any:
    """The JSON value that `text` is, a fence around it aside. ValueError or RecursionError where it is none."""
    return _DECODER.decode(_QUOTE.sub(r"\1'", _without_fence(text.strip())))


def _without_fence(text: str) -> str:
    """Take the text out of the fence that `text` begins with, closed or not."""
    if not text.startswith(("```", "~~~")):
        return text
    return text.partition("\n")[2].rstrip().removesuffix(text[:3]).strip()


def find_objects(text: str) -> Iterator[FoundObject]:
    """The whole objects in a text, outermost ones only."""
    ends = ObjectEnds(text)
    position = 0
    while begin := _OBJECT.search(text, position):
        if ends.exhausted:
            return
        end = ends(begin.start())
        if end is None:
            position = begin.start() + 1
        else:
            value = _DECODER.decode(_QUOTE.sub(r"\1'", text[begin.start() : end]))
            yield FoundObject(value, begin.start(), end)
            position = end


class ObjectEnds:
    """Where the whole object that begins at a position of `text` ends; None where none does, or after many tries."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tries = 0

    @property
    def exhausted(self) -> bool:
        return self._tries >= MOST_OBJECTS

    def __call__(self, start: int) -> int | None:
        if self.exhausted or not _OBJECT.match(self._text, start):
            return None
        self._tries += 1
        try:
            return _DECODER.raw_decode(self._text, start)[1]
        except (ValueError, RecursionError):
            return None


def repaired(text: str, keys: Collection[str]) -> Iterator[Any]:
    """Repair the one broken object in `text`, most likely readings first; `keys` are those that it may have.

    Nothing where it stops inside a string or a word: that is half an answer.
    """
    broken = _repairable(text)
    if not broken:
        return
    broken = _WIDE_COMMA.sub(r"\1, ", _WIDE_COLON.sub('":', broken))
    with contextlib.suppress(ValueError, RecursionError):
        yield _python_literal(broken.replace("\\/", "/"))
    quoted = _NO_VALUE.sub("", _BARE.sub(_quote, broken))
    for attempt in (quoted, _escape_quotes(quoted, keys)):
        try:
            yield decode(attempt)
        except (ValueError, RecursionError):
            continue
    try:
        value = json_repair.loads(quoted)
    except Exception:  # a third party's parser of broken text: whatever it stumbles over, the text stays unreadable
        return
    yield from value if isinstance(value, list) else [value]


def _repairable(body: str) -> str:
    """The stretch that looks like one whole object, or "". What stops inside a string or a word is half an answer."""
    body = body.strip().removesuffix("```").rstrip()
    start = body.find("{")
    end = len(body) if body.endswith(("}", "]")) or _ends_with_a_value(body) else body.rfind("}") + 1
    broken = body[start:end] if start >= 0 else ""
    work = len(broken) * (broken.count("{") + broken.count("["))
    small = len(broken) <= MOST_REPAIRED and work <= MOST_REPAIR_WORK and broken.count('"') <= MOST_REPAIR_QUOTES
    return broken if small else ""


def _ends_with_a_value(body: str) -> bool:
    """Return True if `body` ends with a non-empty string after a colon: only closing brackets are missing."""
    if not body.endswith('"') or body.endswith('\\"'):
        return False
    opening = body.rfind('"', 0, -1)
    return 0 < opening < len(body) - 2 and body[:opening].rstrip().endswith(":")


def _quote(match: re.Match[str]) -> str:
    """A value that JSON does not know, as the text that the model wrote."""
    key, written, space = match.groups()
    value = _COMMENT.sub("", written).strip()
    if _SCALAR.fullmatch(value):
        return f"{key}{value}{space}"
    value = value.strip("`“”")
    return f"{key}{_CONSTANTS.get(value) or json.dumps(value)}{space}"


def _escape_quotes(text: str, keys: Collection[str]) -> str:
    """`text` with the quotes escaped that stand inside a string value of one of `keys`.

    Such a value ends at the last quote before the next key, or before the text's end.
    """
    heads = re.compile(rf'([{{,]\s*"(?:{"|".join(map(re.escape, keys))})"\s*:\s*)')
    before, *parts = heads.split(text)
    written = [before]
    for head, value in zip(parts[::2], parts[1::2], strict=True):
        close = value.rfind('"') if value.startswith('"') else 0
        inner = re.sub(r'(?<!\\)((?:\\\\)*)"', r'\1\\"', value[1:close]) if close > 0 else ""
        written += [head, f'"{inner}{value[close:]}' if close > 0 else value]
    return "".join(written)


def _python_literal(source: str) -> Any:
    """Evaluate a literal of Python, or of JavaScript as far as it is one. ValueError."""
    tree = parse_python(source, "eval")
    if not isinstance(tree, ast.Expression):
        raise ValueError("no expression")
    return _literal(tree.body, [line.encode() for line in source.split("\n")])


def _literal(node: ast.expr, lines: Sequence[bytes]) -> Any:
    match node:
        case ast.Dict(keys=names, values=values):
            return {_key(name): _literal(value, lines) for name, value in zip(names, values, strict=True)}
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_literal(item, lines) for item in items]
        case ast.Constant(value=str(text)):
            return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case ast.Constant(value=None):
            return PythonNone("None")
        case ast.Constant(value=bool(truth)):
            return truth
        case ast.Name(id=name):
            return _NAMES.get(name, name)
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            parts = [_literal(left, lines), _literal(right, lines)]
            if all(type(part) is str for part in parts):
                return "".join(parts)
        case _:
            pass
    written = lines[node.lineno - 1][node.col_offset : node.end_col_offset].decode()
    if node.lineno != node.end_lineno or not _WRITTEN.fullmatch(written):
        raise ValueError("no literal")
    return Number(written)


def _key(name: ast.expr | None) -> str:
    match name:
        case ast.Constant(value=str(text)):
            return text
        case ast.Name(id=text):
            return text
    raise ValueError("no key")
