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
from ace.roles.json_schema import MOST_LISTED, pack_schema
from ace.types import TOKEN_SHARE

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


def test_only_shown_bullets_can_be_named_and_lists_end() -> None:
    schema = pack_schema(load_pack("standard"), GeneratorAnswer, "[str-00001] a\n[fmt-00002] as \\[str-00009] says")
    ids = {"type": "string", "enum": ["str-00001", "fmt-00002"]}
    assert schema["properties"]["bullet_ids"] == {"type": "array", "items": ids, "maxItems": 4}
    merge = response_schema(Curation, bullets=("str-00001",), most_bullets=3, most_operations=5)
    operations = merge["properties"]["operations"]
    assert operations["maxItems"] == 5 and operations["items"]["anyOf"][2]["properties"]["ids"]["maxItems"] == 3


def test_without_bullets_there_is_nothing_to_name() -> None:
    pack = load_pack("standard")
    assert list(pack_schema(pack, GeneratorAnswer, "(none yet)")["properties"]) == ["reasoning", "final_answer"]
    assert list(pack_schema(pack, Reflection, "(none yet)")["properties"]) == ["reasoning", "key_insight"]
    operation = pack_schema(pack, Curation, "(none yet)")["properties"]["operations"]["items"]
    assert operation["properties"]["type"] == {"type": "string", "const": "ADD"}


def test_an_empty_playbook_gets_a_bullet_and_another_may_stay() -> None:
    pack = load_pack("standard")
    for playbook, least in (("(none yet)", 1), ("[str-00001] a", None)):
        assert pack_schema(pack, Curation, playbook)["properties"]["operations"].get("minItems") == least


def test_texts_leave_room_for_what_follows_them() -> None:
    pack = load_pack("standard")
    for model in MODELS:
        shares = [node[TOKEN_SHARE] for node in nodes(pack_schema(pack, model, "[str-00001] a")) if TOKEN_SHARE in node]
        assert shares and sum(shares) < 0.8
    contents = [node for node in nodes(pack_schema(pack, Curation, "")) if "maxLength" in node]
    assert contents
    assert not any({TOKEN_SHARE, "maxLength"} & node.keys() for node in nodes(pack_schema(MICRO, Curation, "")))


def test_of_very_many_bullets_the_schema_asks_for_an_ids_form_alone() -> None:
    bullets = tuple(f"str-{number:05d}" for number in range(MOST_LISTED + 1))
    listed = response_schema(GeneratorAnswer, bullets=bullets[1:])["properties"]["bullet_ids"]["items"]
    assert len(listed["enum"]) == MOST_LISTED
    form = response_schema(GeneratorAnswer, bullets=bullets)["properties"]["bullet_ids"]["items"]
    assert form == {"type": "string", "pattern": "^[a-z]{2,6}-[0-9]{5}$"}


def test_packs_without_rules_for_answers_have_the_schemas_that_they_had() -> None:
    for name in ("micro", "standard-1"):
        pack = load_pack(name)
        before = response_schema(Reflection, omit=pack.omit, operations=pack.operations)
        assert pack_schema(pack, Reflection, "(empty)") == before
