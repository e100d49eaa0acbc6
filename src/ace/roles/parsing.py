"""Parsing of an answer's text into a typed answer or a ParseError."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, Generic, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from ace.errors import ParseError
from ace.roles.backslashes import double_backslashes, restore_commands
from ace.roles.json_reading import Number, ObjectEnds, PythonNone, decode, find_objects, repaired
from ace.roles.thinking import without_thoughts

Answer = TypeVar("Answer", bound=BaseModel)

_UNWANTED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_SURROGATE = re.compile("[\ud800-\udfff]")

_TURN = re.compile(
    r"^[ \t>#*_-]*(?:\d+[.)][ \t]*)?(?:(?:new|next|another|second|other)[ \t]+)?"
    r"(?:question|q|problem|task|ticket|input|user|human|instruction|context|example|sample|exercise|prompt|query|case)"
    r"[ \t]*#?\d*[ \t]*(?:[:#*_]|$)"
    r"|<\|?(?:im_start|im_end|endoftext|eot_id|start_header_id|user|end|system)\|?>|<(?:start|end)_of_turn>"
    r"|\[INST\]|</?s>|<question>|<context>|<input>|\b(?:next|another|new) (?:question|problem|ticket|example)\b",
    re.IGNORECASE | re.MULTILINE,
)
"""Beginnings of a next turn, which was not requested."""
_CUE: Final = (
    r"(?:wait|actually|but|no|not quite|sorry|apolog\w+|correct\w*|mistake\w*|wrong|instead|rather|revis\w+"
    r"|re-?check\w*|double[- ]check\w*|check\w*|verif\w+|on second thought|hmm+|oops|scratch that|updated?|final"
    r"|improved|better|hold on|let me fix|fixed|等等|不对|更正|修正)"
)
_CORRECTION = re.compile(rf"\W*(?:(?:oh|ah|so|and|hmm+),?\s+)?{_CUE}(?:\W|$)", re.IGNORECASE)
_CORRECTION_ANYWHERE = re.compile(rf"(?:^|\W){_CUE}(?:\W|$)", re.IGNORECASE)
_PREFACE = re.compile(r"\s*(?:[^\n.!?]{0,120}:\s*)?(?:(?:```|~~~)[^\n`]*\s*)?")


class _Fit(NamedTuple, Generic[Answer]):
    """An answer that fits, its place in the text, and what had to be left out of it."""

    answer: Answer
    start: int
    end: int
    left_out: tuple[str, ...]


def parse(text: str, model: type[Answer], *, truncated: bool = False, left_out: list[str] | None = None) -> Answer:
    """The answer in `text`: a JSON object that fits `model`, whatever stands around it, else a repaired one.

    What a model thought before it answered does not count, nor does anything where its thoughts were never closed. Of
    several objects that fit, a correction takes the place of what it corrects, and what follows the turn that was asked
    for is left out (`_choose`). `truncated` says that the engine stopped at max_tokens: nothing is repaired then,
    because half an answer is not one. What was left out is appended to `left_out`. ParseError is the only error.
    """
    reader = _Reader(model)
    fit = reader.read(double_backslashes(text), repair=not truncated)
    if fit is not None:
        if left_out is not None:
            left_out.extend(fit.left_out)
        return fit.answer
    problem = reader.problem or ("no JSON object in it" if text.strip() else "it is empty")
    message = f"the answer does not fit {model.__name__}: {problem}"
    if truncated:
        hint = "raise the role's max_tokens"
        raise ParseError(f"cut off at max_tokens: {message}", hint=hint, text=text, truncated=True)
    raise ParseError(message, text=text, truncated=False)


class _Reader(Generic[Answer]):
    """One text, read for one kind of answer. `problem` is what is wrong with the likeliest object."""

    def __init__(self, model: type[Answer]) -> None:
        self._model = model
        self.problem = ""

    def read(self, text: str, *, repair: bool) -> _Fit[Answer] | None:
        if (whole := self._whole(text)) is not None:
            return whole
        spoken = without_thoughts(text, ObjectEnds(text))
        if spoken.text != text and (whole := self._whole(spoken.text)) is not None:
            return whole
        if self._many(spoken.text):
            self.problem = f"a list of several objects ({self.problem})"
            return None
        if (fit := self._among_objects(spoken.text, repair=repair)) is not None:
            return fit
        if '{\\"' in spoken.text and (whole := self._whole(f'"{spoken.text.strip()}"')) is not None:
            return whole
        if spoken.unfinished:
            self.problem = "cut off while thinking: the thoughts were never closed"
        return None

    def _among_objects(self, text: str, *, repair: bool) -> _Fit[Answer] | None:
        """The answer among the objects in `text`; a broken one before another turn rather than a whole one after it."""
        fits = list(self._fits_in(text))
        turn = _next_turn(text)
        if fits and fits[0].start < turn:
            return _choose(fits, text)
        for body in dict.fromkeys((text[:turn], text)) if repair else ():
            for value in repaired(body, _keys(self._model)):
                if (fit := self._fit(value)) is not None:
                    return fit
            if fits:
                break
        return _choose(fits, text) if fits else None

    def _whole(self, text: str) -> _Fit[Answer] | None:
        try:
            return self._fit(decode(text))
        except (ValueError, RecursionError):
            return None

    def _many(self, text: str) -> bool:
        """Return True if `text` is one JSON list of several objects: none of them is the answer."""
        try:
            value = decode(text)
        except (ValueError, RecursionError):
            return False
        return isinstance(value, list) and len(value) > 1

    def _fits_in(self, body: str) -> Iterator[_Fit[Answer]]:
        objects = list(find_objects(body))
        join = getattr(self._model, "join", None)
        items = join([item.value for item in objects]) if join else None
        if items is not None:
            if (fit := self._fit(items, objects[0].start, objects[-1].end)) is not None:
                yield fit
            return
        for item in objects:
            if (fit := self._fit(item.value, item.start, item.end)) is not None:
                yield fit

    def _fit(self, value: Any, start: int = 0, end: int = 0) -> _Fit[Answer] | None:
        """`value` as an answer, or the only one among the values that it wraps."""
        if (fit := self._validated(value, start, end)) is not None:
            return fit
        inner = [fit for item in _inner(value) if (fit := self._validated(item, start, end)) is not None]
        return inner[0] if len({repr(fit.answer) for fit in inner}) == 1 else None

    def _validated(self, value: Any, start: int, end: int) -> _Fit[Answer] | None:
        notes: list[str] = []
        try:
            answer = self._model.model_validate(_clean(value), context=notes)
        except ValidationError as error:
            self.problem = self.problem or _first_problem(error)
        except RecursionError:
            self.problem = self.problem or "nested too deeply"
        else:
            return _Fit(answer, start, end, tuple(notes))
        return None


def _next_turn(text: str) -> int:
    """Where another turn begins behind what looks like an object; the end of `text` where none does."""
    end = text.find("}")
    begins = re.search(r"\{\s*[\"']", text)
    if begins is None or end < begins.start():
        return len(text)
    turn = _TURN.search(text, max(end, begins.end()))
    return len(text) if turn is None else turn.start()


def _choose(fits: Sequence[_Fit[Answer]], text: str) -> _Fit[Answer]:
    """The answer among several, in their order in `text`.

    What stands between two of them tells them apart: words of correction make the later one count; the beginning of
    another turn (a question, a role's marker) ends the answer before it. Without either, an answer with which the text
    began is whole, and what follows is run-on; after prose, objects are drafts, and the last one counts.
    """
    chosen, *others = fits
    opened = _PREFACE.fullmatch(text, 0, chosen.start) is not None
    superseded = 0
    for number, other in enumerate(others):
        between = text[chosen.end : other.start]
        if other.answer == chosen.answer:
            chosen = chosen._replace(end=other.end)
            continue
        corrects = _CORRECTION.match(between) or (
            not _TURN.search(between) and (not opened or _CORRECTION_ANYWHERE.search(between))
        )
        if not corrects:
            note = f"{len(others) - number} more after the answer left out: the text went on with another turn"
            return chosen._replace(left_out=(*chosen.left_out, note))
        superseded += 1
        chosen = other
    if superseded:
        return chosen._replace(left_out=(*chosen.left_out, f"{superseded} before the answer left out: corrected"))
    return chosen


def _inner(value: Any) -> Iterator[Any]:
    """The values that `value` wraps: members, items, and objects written as JSON text."""
    members: list[Any] = value if isinstance(value, list) else [value]
    if isinstance(value, Mapping):
        members = [*value.values(), *_called_with(value)]
    for member in members:
        if isinstance(member, Mapping) or (isinstance(member, list) and member):
            yield member
        elif isinstance(member, str) and "{" in member:
            text = double_backslashes(member)
            try:
                yield decode(text)
            except (ValueError, RecursionError):
                yield from (each.value for each in find_objects(text))


def _called_with(value: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the arguments of tool calls in the format of OpenAI's API: `{"tool_calls": [{"function": {...}}]}`."""
    calls = value.get("tool_calls")
    for call in calls if isinstance(calls, list) else [value]:
        function = call.get("function") if isinstance(call, Mapping) else None
        if isinstance(function, Mapping):
            yield function.get("arguments")


@lru_cache(maxsize=16)
def _keys(model: type[BaseModel]) -> tuple[str, ...]:
    """Every key that an answer of this kind can have, at any depth."""
    schema = model.model_json_schema()
    parts = [schema, *schema.get("$defs", {}).values()]
    return tuple(dict.fromkeys(key for part in parts for key in part.get("properties", {})))


def _clean(value: Any) -> Any:
    """LaTeX commands restored, without control characters and lone surrogates, which no prompt or store should meet."""
    if isinstance(value, Number | PythonNone):
        return value
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", _UNWANTED.sub("", restore_commands(value)))
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    return value


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    return ": ".join([".".join(str(part) for part in first["loc"]) or "answer", first["msg"]])
