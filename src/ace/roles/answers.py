"""What each role answers. The declaration order of the fields is the order in which an engine writes them.

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

from ace.roles.json_schema import response_schema
from ace.roles.parsing import Number

__all__ = [
    "AddOp",
    "BulletTag",
    "Curation",
    "GeneratorAnswer",
    "MergeOp",
    "OperationAnswer",
    "Reflection",
    "RemoveOp",
    "UpdateOp",
    "response_schema",
]

Item = TypeVar("Item", bound=BaseModel)
_ID = re.compile(r"(?<![a-z0-9])[a-z]{2,6}-[0-9]{5}(?![0-9])")


def _text(value: Any) -> Any:
    """A text as it is; another JSON value as its JSON; null as nothing."""
    if value is None:
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


def _filled(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be empty")
    return value.strip()


def _bullet_id(value: Any) -> Any:
    found = _ID.search(value) if isinstance(value, str) else None
    return found.group() if found else value


def _bullet_ids(value: Any, info: ValidationInfo) -> list[str]:
    """Every id in a list, or in one text that names several."""
    found: dict[str, None] = {}
    for item in value if isinstance(value, list) else [] if value is None else [value]:
        ids = _ID.findall(item["id"] if isinstance(item, dict) and isinstance(item.get("id"), str) else str(item))
        found.update(dict.fromkeys(ids))
        if not ids:
            _leave_out(info, "bullet id", item, "not an id")
    return list(found)


def _readable(
    model: Callable[[], TypeAdapter[Item]], what: str, *, required: bool
) -> Callable[[Any, ValidationInfo], list[Item]]:
    """A validator that keeps the items of a list that fit; it fails if `required` and there are items but none fits."""

    def read(value: Any, info: ValidationInfo) -> list[Item]:
        items = value if isinstance(value, list) else [] if value is None else [value]
        kept: list[Item] = []
        problem = ""
        for item in items:
            try:
                kept.append(model().validate_python(item))
            except ValidationError as error:
                first = error.errors(include_url=False, include_input=False)[0]
                problem = ": ".join([*(str(part) for part in first["loc"]), first["msg"]])
                _leave_out(info, what, item, problem)
        if items and not kept and required:
            raise ValueError(f"no {what} can be read ({problem})")
        return kept

    return read


def _leave_out(info: ValidationInfo, what: str, item: Any, problem: str) -> None:
    if isinstance(info.context, list):
        info.context.append(f"{what} left out: {problem}: {str(item)[:200]!a}")


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


Text = Annotated[str, BeforeValidator(_text)]
FilledText = Annotated[str, BeforeValidator(_text), AfterValidator(_filled)]
BulletId = Annotated[str, Field(pattern=r"^[a-z]{2,6}-[0-9]{5}$"), BeforeValidator(_bullet_id)]
BulletIds = Annotated[list[BulletId], BeforeValidator(_bullet_ids)]


class GeneratorAnswer(_Answer):
    """The generator's answer; `bullet_ids` are the bullets it says it used, each once."""

    reasoning: Text = ""
    bullet_ids: BulletIds = []
    final_answer: Text


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
    """What the reflector found. `key_insight` is empty where there is nothing to learn."""

    reasoning: Text = ""
    error_identification: Text = ""
    root_cause_analysis: Text = ""
    correct_approach: Text = ""
    key_insight: Text
    bullet_tags: Annotated[
        list[BulletTag], BeforeValidator(_readable(lambda: _TAG, "tag", required=False)), BeforeValidator(_tag_items)
    ] = []


class AddOp(_Answer):
    """A new bullet."""

    type: Literal["ADD"]
    reason: Text = ""
    section: FilledText
    content: FilledText


class UpdateOp(_Answer):
    """New content for a bullet."""

    type: Literal["UPDATE"]
    reason: Text = ""
    id: BulletId
    content: FilledText


class MergeOp(_Answer):
    """Several bullets that become one."""

    type: Literal["MERGE"]
    reason: Text = ""
    ids: Annotated[BulletIds, Field(min_length=2)]
    content: FilledText


class RemoveOp(_Answer):
    """A bullet that goes."""

    type: Literal["REMOVE"]
    reason: Text = ""
    id: BulletId


def _upper_type(value: Any) -> Any:
    if isinstance(value, dict) and isinstance(value.get("type"), str):
        return {**value, "type": value["type"].strip().upper()}
    return value


OperationAnswer = Annotated[AddOp | UpdateOp | MergeOp | RemoveOp, Field(discriminator="type")]
_OPERATION: TypeAdapter[AddOp | UpdateOp | MergeOp | RemoveOp] = TypeAdapter(
    Annotated[OperationAnswer, BeforeValidator(_upper_type)]
)
_TAG = TypeAdapter(BulletTag)


class Curation(_Answer):
    """What the curator proposes. A bare list is read as its operations."""

    reasoning: Text = ""
    operations: Annotated[
        list[OperationAnswer], BeforeValidator(_readable(lambda: _OPERATION, "operation", required=True))
    ]

    @model_validator(mode="before")
    @classmethod
    def _from_list(cls, data: Any) -> Any:
        return {"operations": data} if isinstance(data, list) else data
