"""The schemas that engines get: only what they understand, nothing left to choose."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from ace.prompts import load_pack
from ace.prompts.manifest import Manifest
from ace.roles import (
    AddOp,
    BulletTag,
    Curation,
    GeneratorAnswer,
    MergeOp,
    Reflection,
    RemoveOp,
    UpdateOp,
    response_schema,
)

MODELS: list[type[BaseModel]] = [GeneratorAnswer, Reflection, Curation]
MICRO = load_pack("micro")


def nodes(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        yield schema
        for value in schema.values():
            yield from nodes(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from nodes(value)


@pytest.mark.parametrize("model", MODELS)
def test_objects_are_closed_and_complete_and_in_order(model: type[BaseModel]) -> None:
    schema = response_schema(model)
    assert list(schema["properties"]) == list(model.model_fields)
    for node in nodes(schema):
        assert not {"$ref", "$defs", "oneOf", "discriminator", "minLength", "maxLength", "uniqueItems"} & set(node)
        if node.get("type") == "object":
            assert node["required"] == list(node["properties"]) and node["additionalProperties"] is False


def test_the_curators_operations_are_a_choice_by_type() -> None:
    choices = response_schema(Curation)["properties"]["operations"]["items"]["anyOf"]
    assert [choice["properties"]["type"]["const"] for choice in choices] == ["ADD", "UPDATE", "MERGE", "REMOVE"]
    assert choices[1]["properties"]["id"] == {"type": "string", "pattern": "^[a-z]{2,6}-[0-9]{5}$"}
    assert choices[2]["properties"]["ids"]["items"]["pattern"] == "^[a-z]{2,6}-[0-9]{5}$"


def test_omitted_fields_are_gone_everywhere() -> None:
    omit = MICRO.omit
    assert list(response_schema(Reflection, omit=omit)["properties"]) == ["reasoning", "key_insight", "bullet_tags"]
    assert not any(omit & set(node.get("properties", {})) for node in nodes(response_schema(Curation, omit=omit)))


def test_operations_and_sections_narrow_the_curators_schema() -> None:
    schema = response_schema(Curation, operations=("ADD", "UPDATE"), sections=("trm", "mod"))
    add, update = schema["properties"]["operations"]["items"]["anyOf"]
    assert add["properties"]["section"] == {"type": "string", "enum": ["trm", "mod"]}
    assert update["properties"]["type"]["const"] == "UPDATE"
    assert response_schema(Curation, operations=("REMOVE",))["properties"]["operations"]["items"]["type"] == "object"


def test_what_a_pack_may_omit_is_what_the_models_can_do_without() -> None:
    answers: list[type[BaseModel]] = [*MODELS, AddOp, UpdateOp, MergeOp, RemoveOp, BulletTag]
    fields = [(name, field.is_required()) for model in answers for name, field in model.model_fields.items()]
    for name, required in fields:
        manifest = {"name": "x", "version": 1, "omit": [name]}
        if required:
            with pytest.raises(ValidationError):
                Manifest.model_validate(manifest)
        else:
            assert Manifest.model_validate(manifest).omit == (name,)
