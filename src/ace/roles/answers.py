"""Answers of the roles. The declaration order of the fields is the order in which an engine writes them.

Validation forgives form (an id in brackets, a lower-case type, a number for a text), never content: what cannot be read
is left out of a list and named in the validation context, or fails the answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from ace.roles.json_reading import Number, PythonNone
from ace.roles.json_schema import response_schema
from ace.types import TOKEN_SHARE

__all__ = [
    "AddOp",
    "BulletTag",
    "Curation",
    "GeneratorAnswer",
    "JointReflection",
    "MergeOp",
    "OperationAnswer",
    "Reflection",
    "RemoveOp",
    "UpdateOp",
    "response_schema",
]

Item = TypeVar("Item", bound=BaseModel)
_PLACEHOLDER = re.compile(
    r"\s*(?:\.{3,}|…+|_{2,}|\?{3,}"
    r"|(?P<open>[<\[{(]+)?\s*(?:(?:your|my|the|a|an|final|insert|put|write|fill|short|new|one|in|own)[\s_-]+)*"
    r"(?:answers?|final[\s_-]answer|text|string|value|number|result|letter|content|insight|section|reasoning"
    r"|explanation|bullet|slug|response|option|placeholder|todo)(?:[\s_-]+(?:here|goes here|text|string|of .{1,40}))*"
    r"\s*(?(open)[>\]})]+|(?<=here))"
    r"|(?:your|insert|put|write)[\s_]+(?:your[\s_]+)?(?:final[\s_]+)?(?:answer|insight|reasoning)(?:[\s_]+here)?"
    r"|[^.]{1,80}, as one string\.?)[.\s]*",
    re.IGNORECASE,
)
"""Placeholder of a value in a description of the format."""
_LONGEST_PLACEHOLDER = 120
LONGEST_BULLET = 600
"""Characters of a bullet that a guided curator writes, where its pack bounds answers."""
_SCHEMA_TYPES = frozenset({"string", "number", "integer", "boolean", "array", "object", "null"})
_SCHEMA_KEYS = frozenset({"type", "title", "description", "pattern", "enum", "default", "items", "properties"})
_NOT_A_KEY = re.compile(r"[^a-z0-9]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_ID = re.compile(r"(?<![a-z0-9])[a-z]{2,6}[-_][0-9]{5}(?![0-9])", re.IGNORECASE)


def _text(value: Any) -> Any:
    """A text as it is; another JSON value as its JSON; null as nothing."""
    if value is None or isinstance(value, PythonNone):
        return ""
    return str(value) if isinstance(value, str) else _json(value)


def _json(value: Any) -> str:
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_json, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_json(key)}: {_json(item)}' for key, item in value.items())}}}"
    return json.dumps(value, ensure_ascii=False)


def _final_text(value: Any) -> Any:
    """As `_text`; Python's `None` may be the word that was asked for, and a JSON schema is no answer."""
    if isinstance(value, dict) and str(value.get("type")) in _SCHEMA_TYPES and value.keys() <= _SCHEMA_KEYS:
        raise ValueError("a JSON schema is no value")
    return str(value) if isinstance(value, PythonNone) else _text(value)


def _no_placeholder(value: str) -> str:
    if len(value) <= _LONGEST_PLACEHOLDER and _PLACEHOLDER.fullmatch(value):
        raise ValueError(f"{value[:40]!r} is a placeholder, not a value")
    return value


def _filled(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be empty")
    return _no_placeholder(value.strip())


def _bullet_id(value: Any) -> Any:
    return next(iter(_ids_in(value)), value) if isinstance(value, str) else value


def _ids_in(text: str) -> list[str]:
    """The ids that a text names; `STR_00012` means `str-00012`."""
    return [name.lower().replace("_", "-") for name in _ID.findall(text)]


def _bullet_ids(value: Any, info: ValidationInfo) -> list[str]:
    """Every id in a list, or in one text that names several."""
    every: dict[str, None] = {}
    for item in value if isinstance(value, list) else [] if not value or isinstance(value, PythonNone) else [value]:
        ids = _ids_in(item["id"] if isinstance(item, dict) and isinstance(item.get("id"), str) else str(item))
        every.update(dict.fromkeys(ids))
        if not ids:
            _leave_out(info, "bullet id", item, "not an id")
    return list(every)


def _readable(
    model: Callable[[], TypeAdapter[Item]], what: str, *, required: bool
) -> Callable[[Any, ValidationInfo], list[Item]]:
    """A validator that keeps the items of a list that fit; it fails if `required` and there are items but none fits."""

    def read(value: Any, info: ValidationInfo) -> list[Item]:
        nothing = value is None or isinstance(value, PythonNone)
        items = value if isinstance(value, list) else [] if nothing else [value]
        readable: list[Item] = []
        problem = ""
        for item in items:
            try:
                readable.append(model().validate_python(item))
            except ValidationError as error:
                first = error.errors(include_url=False, include_input=False)[0]
                problem = ": ".join([*(str(part) for part in first["loc"]), first["msg"]])
                _leave_out(info, what, item, problem)
        if items and not readable and required:
            raise ValueError(f"no {what} can be read ({problem})")
        return readable

    return read


def _leave_out(info: ValidationInfo, what: str, item: Any, problem: str) -> None:
    if isinstance(info.context, list):
        info.context.append(f"{what} left out: {problem}: {str(item)[:200]!a}")


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _name_keys(cls, data: Any) -> Any:
        """`finalAnswer`, `Final Answer` and `final-answer` mean `final_answer`."""
        if not isinstance(data, dict) or data.keys() <= cls.model_fields.keys():
            return data
        named = {key: value for key, value in data.items() if key in cls.model_fields}
        for key, value in data.items():
            named.setdefault(_NOT_A_KEY.sub("_", _CAMEL.sub("_", str(key)).lower()).strip("_"), value)
        return named


Text = Annotated[str, BeforeValidator(_text)]
MainReasoning = Annotated[Text, Field(json_schema_extra={TOKEN_SHARE: 0.75})]
HalfReasoning = Annotated[Text, Field(json_schema_extra={TOKEN_SHARE: 0.5})]
ReflectionReasoning = Annotated[Text, Field(json_schema_extra={TOKEN_SHARE: 0.35})]
FinalText = Annotated[str, BeforeValidator(_final_text), AfterValidator(_no_placeholder)]
InsightText = Annotated[
    str, BeforeValidator(_text), AfterValidator(_no_placeholder), Field(json_schema_extra={TOKEN_SHARE: 0.25})
]
ContentText = Annotated[
    str, BeforeValidator(_text), AfterValidator(_filled), Field(json_schema_extra={"maxLength": LONGEST_BULLET})
]
BulletId = Annotated[str, Field(pattern=r"^[a-z]{2,6}-[0-9]{5}$"), BeforeValidator(_bullet_id)]
BulletIds = Annotated[list[BulletId], BeforeValidator(_bullet_ids)]


class GeneratorAnswer(_Answer):
    """The generator's answer; `bullet_ids` are the bullets it says it used, each once."""

    reasoning: MainReasoning = ""
    bullet_ids: BulletIds = []
    final_answer: FinalText

    @model_validator(mode="before")
    @classmethod
    def _short_key(cls, data: Any) -> Any:
        """`{"answer": "42"}` means the final answer, and a final answer can be in an object of its own name."""
        if not isinstance(data, dict):
            return data
        final = data.get("final_answer")
        if isinstance(final, dict) and "final_answer" in final:
            return {**data, "final_answer": final["final_answer"]}
        if "final_answer" not in data and isinstance(data.get("answer"), str | int | float):
            return {**data, "final_answer": data["answer"]}
        return data


class BulletTag(_Answer):
    """The reflector's verdict on one bullet."""

    id: BulletId
    tag: Annotated[
        Literal["helpful", "harmful", "neutral"],
        BeforeValidator(lambda value: value.strip().lower() if isinstance(value, str) else value),
    ]


def _tag_items(value: Any) -> Any:
    """`{"str-00001": "helpful"}` means the same as a list of tags."""
    if isinstance(value, dict) and "id" not in value:
        return [{"id": key, "tag": tag} for key, tag in value.items()]
    return value


class Reflection(_Answer):
    """The reflector's answer. `key_insight` is empty where there is nothing to learn."""

    reasoning: ReflectionReasoning = ""
    error_identification: Text = ""
    root_cause_analysis: Text = ""
    correct_approach: Text = ""
    key_insight: InsightText
    bullet_tags: Annotated[
        list[BulletTag], BeforeValidator(_readable(lambda: _TAG, "tag", required=False)), BeforeValidator(_tag_items)
    ] = []


def _texts(value: Any) -> list[str]:
    """A list of texts; one text is a list of one."""
    return [_text(item) for item in (value if isinstance(value, list) else [value] if value else [])]


class JointReflection(_Answer):
    """The reflector's answer about samples that share a target: a phrase for each, and one for all of them."""

    reasoning: Annotated[list[str], BeforeValidator(_texts)] = []
    key_insight: InsightText

    @property
    def phrases(self) -> tuple[str, ...]:
        """Every phrase, the common one first."""
        return (self.key_insight, *self.reasoning)


class AddOp(_Answer):
    """A new bullet."""

    type: Literal["ADD"]
    reason: Text = ""
    section: Text
    content: ContentText


class UpdateOp(_Answer):
    """New content for a bullet."""

    type: Literal["UPDATE"]
    reason: Text = ""
    id: BulletId
    content: ContentText


class MergeOp(_Answer):
    """Several bullets that become one."""

    type: Literal["MERGE"]
    reason: Text = ""
    ids: Annotated[BulletIds, Field(min_length=2)]
    content: ContentText


class RemoveOp(_Answer):
    """A bullet that goes."""

    type: Literal["REMOVE"]
    reason: Text = ""
    id: BulletId


_TYPE_KEYS = ("type", "Type", "op", "operation", "action")


def _upper_type(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    kind = next((value[key] for key in _TYPE_KEYS if isinstance(value.get(key), str)), None)
    return value if kind is None else {"section": "", **value, "type": kind.strip().upper()}


OperationAnswer = Annotated[AddOp | UpdateOp | MergeOp | RemoveOp, Field(discriminator="type")]
_OPERATION: TypeAdapter[AddOp | UpdateOp | MergeOp | RemoveOp] = TypeAdapter(
    Annotated[OperationAnswer, BeforeValidator(_upper_type)]
)
_TAG = TypeAdapter(BulletTag)


class Curation(_Answer):
    """The curator's answer. A bare list is read as its operations."""

    reasoning: HalfReasoning = ""
    operations: Annotated[
        list[OperationAnswer], BeforeValidator(_readable(lambda: _OPERATION, "operation", required=True))
    ]

    @model_validator(mode="before")
    @classmethod
    def _from_list(cls, data: Any) -> Any:
        if _is_operation(data):
            return {"operations": [data]}
        return {"operations": data} if isinstance(data, list) else data

    @staticmethod
    def join(objects: list[Any]) -> list[Any] | None:
        """Operations that stand one after the other are one list; None where `objects` are anything else."""
        return objects if len(objects) > 1 and all(map(_is_operation, objects)) else None


def _is_operation(data: Any) -> bool:
    return isinstance(data, dict) and "operations" not in data and any(key in data for key in _TYPE_KEYS[:4])
