"""The one tolerant parser: any text in, a model or a ParseError out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, TypeVar

import json_repair
from pydantic import BaseModel, ValidationError

from ace.errors import ParseError

Answer = TypeVar("Answer", bound=BaseModel)

MOST_OBJECTS = 100
"""How many places that look like the beginning of an object are tried."""
MOST_REPAIRED = 32_000
MOST_REPAIR_WORK = 400_000
MOST_REPAIR_QUOTES = 1_000
"""A broken object is repaired up to this many characters, characters x brackets, and quotes: json_repair's time grows
with them, to minutes for what a runaway model can write."""


class Number(str):
    """A JSON number as the model wrote it: `3.10` stays `3.10`, and a thousand digits are no error."""

    __slots__ = ()


# strict=False forgives raw newlines inside strings.
_DECODER = json.JSONDecoder(strict=False, parse_int=Number, parse_float=Number, parse_constant=Number)
_OBJECT = re.compile(r'\{\s*["}]')
_FENCED = re.compile(r"\s*```\w*\n(.*)\n?```\s*", re.DOTALL)
_UNWANTED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def parse(text: str, model: type[Answer], *, truncated: bool = False, left_out: list[str] | None = None) -> Answer:
    """The answer in `text`: the last JSON object that fits `model`, whatever stands around it, else a repaired one.

    `truncated` says that the engine stopped at max_tokens: nothing is repaired then, because half an answer is not one.
    What had to be left out of a list is appended to `left_out`. ParseError is the only error, for any text.
    """
    problem = ""
    for data in _candidates(text, repair=not truncated):
        notes: list[str] = []
        try:
            answer = model.model_validate(_clean(data), context=notes)
        except ValidationError as error:
            problem = problem or _first_problem(error)
        except RecursionError:
            problem = problem or "nested too deeply"
        else:
            if left_out is not None:
                left_out.extend(notes)
            return answer
    problem = problem or ("no JSON object in it" if text.strip() else "it is empty")
    message = f"the answer does not fit {model.__name__}: {problem}"
    if truncated:
        hint = "raise the role's max_tokens"
        raise ParseError(f"cut off at max_tokens: {message}", hint=hint, text=text, truncated=True)
    raise ParseError(message, text=text, truncated=False)


def _candidates(text: str, *, repair: bool) -> Iterator[Any]:
    """Decoded values that may be the answer, likeliest first."""
    body = text
    for attempt in (text, text.rpartition("</think>")[2]):
        fenced = _FENCED.fullmatch(attempt)
        body = fenced.group(1) if fenced else attempt
        try:
            yield _DECODER.decode(body.strip())
        except (ValueError, RecursionError):
            continue
    yield from reversed(list(_objects(body)))
    if repair and (broken := _repairable(body)):
        try:
            repaired = json_repair.loads(broken)
        except Exception:  # a third party's parser of broken text: whatever it stumbles over, the text stays unreadable
            return
        yield from repaired if isinstance(repaired, list) else [repaired]


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
    """Whether the last thing is a whole, non-empty string after a colon: then only the closing brackets are missing."""
    if not body.endswith('"') or body.endswith('\\"'):
        return False
    opening = body.rfind('"', 0, -1)
    return 0 < opening < len(body) - 2 and body[:opening].rstrip().endswith(":")


def _objects(text: str) -> Iterator[Any]:
    """The whole objects in a text, outermost ones only."""
    position = 0
    for _ in range(MOST_OBJECTS):
        begin = _OBJECT.search(text, position)
        if begin is None:
            return
        try:
            value, position = _DECODER.raw_decode(text, begin.start())
        except (ValueError, RecursionError):
            position = begin.start() + 1
        else:
            yield value


def _clean(value: Any) -> Any:
    """Without control characters and lone surrogates, which no prompt or store should meet."""
    if isinstance(value, Number):
        return value
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", _UNWANTED.sub("", value))
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    return value


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    return ": ".join([".".join(str(part) for part in first["loc"]) or "answer", first["msg"]])
