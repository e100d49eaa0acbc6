"""Base of all settings: unknown keys are errors that name the key and the allowed values."""

from __future__ import annotations

from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

HIDDEN = "a text that is not repeated here"


def refused(key: str, value: object, allowed: str, *, nearest: str | None = None) -> PydanticCustomError:
    """A problem at `key`, relative to the model whose validator raises it; "" is the value itself."""
    facts = {"key": key, "found": value, "allowed": allowed, "nearest": nearest}
    return PydanticCustomError("refused", "{key} must be {allowed}", facts)


def _kinds(annotation: Any) -> set[Any]:
    """The types of a union, `Annotated` or not; those that a container holds are not meant."""
    if get_origin(annotation) in (Annotated, Union, UnionType):
        return set().union(*map(_kinds, get_args(annotation)))
    return {annotation} if isinstance(annotation, type) else set()


class Settings(BaseModel):
    """Base of all: unknown keys are refused, values are never changed after checking."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False, protected_namespaces=()
    )

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        """YAML's `yes` and `on` are booleans, which pydantic takes for 1."""
        kinds = _kinds(cls.model_fields[info.field_name or ""].annotation)
        if isinstance(value, bool) and bool not in kinds and (int in kinds or float in kinds):
            raise refused("", value, "a number")
        return value
