"""The parser: total over all texts, tolerant of form, never inventing half an answer."""

from __future__ import annotations

import json
import pickle
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from ace.errors import ParseError
from ace.roles import AddOp, BulletTag, Curation, GeneratorAnswer, Reflection, RemoveOp, parse
from ace.roles.json_reading import MOST_REPAIR_QUOTES, MOST_REPAIR_WORK, MOST_REPAIRED

MODELS: list[type[BaseModel]] = [GeneratorAnswer, Reflection, Curation]
ANSWER = GeneratorAnswer(reasoning='He said "x".\nSo {y} = 1.', bullet_ids=["str-00001"], final_answer="42")
WHOLE = ANSWER.model_dump_json()

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
fields = st.sampled_from(
    ["reasoning", "bullet_ids", "final_answer", "key_insight", "bullet_tags", "operations", "type", "id", "ids"]
)
pieces = st.sampled_from(['{"', '":', "[", "]", "}", ",", "```json\n", "```", "</think>", "\\", "'", '"', "ADD", "\n"])


@given(
    st.text(st.characters(codec=None, exclude_categories=()))
    | st.lists(pieces | fields | st.text(max_size=5), max_size=60).map("".join)
    | st.dictionaries(fields, json_values, max_size=6).map(json.dumps),
    st.sampled_from(MODELS),
    st.booleans(),
)
def test_any_text_is_a_model_or_a_parse_error(text: str, model: type[BaseModel], truncated: bool) -> None:
    try:
        answer = parse(text, model, truncated=truncated, left_out=[])
    except ParseError as error:
        str(error).encode()
        assert pickle.loads(pickle.dumps(error)).facts["text"] == text
    else:
        answer.model_dump_json().encode()


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "{" * 10**6,
        "[" * 10**6,
        '{"' * 500_000,
        '{"a":' * 200_000,
        '{"a" "b" ' * 3_500,
        "x" * 10**6,
        '"' * 10**6,
        "\\" * 10**6,
        "```\n" * 250_000,
        "{" + " " * 10**6,
        '{"final_answer":"' + "x" * 10**6,
        '{"final_answer":' + "[" * 3_000 + "]" * 3_000 + "}",
        "{'a': \"" * 20 + "'x\" " * 200 + "}" * 20,
        "\x00\ud800",
        "",
    ],
    ids=lambda text: repr(text[:12]),
)
def test_long_and_deep_texts_are_refused_soon(text: str) -> None:
    started = time.process_time()
    for model in MODELS:
        with pytest.raises(ParseError):
            parse(text, model)
    assert time.process_time() - started < 10


def test_a_megabyte_of_answer_is_read() -> None:
    assert len(parse('{"final_answer": "' + "x" * 10**6 + '"}', GeneratorAnswer).final_answer) == 10**6


@pytest.mark.parametrize(
    "text",
    [
        WHOLE,
        f"\n{WHOLE}\n",
        f"```json\n{WHOLE}\n```",
        f"Sure! Here it is:\n```\n{WHOLE}\n```\nHope this helps: {{x}}.",
        f'<think>maybe {{"final_answer": "7"}}</think>{WHOLE}',
        f'First I thought {{"final_answer": "7"}}, but no: {WHOLE}',
        f"By \\frac{{1}}{{2}} we get {WHOLE} {{",
        WHOLE.replace('\\"x\\"', '"x"'),
        WHOLE.replace("\\n", "\n"),
        WHOLE[:-1] + ",}",
        WHOLE[:-1],
    ],
)
def test_the_answer_is_found_in_its_surroundings(text: str) -> None:
    answer = parse(text, GeneratorAnswer)
    assert (answer.final_answer, answer.bullet_ids) == ("42", ["str-00001"])


@pytest.mark.parametrize("truncated", [False, True])
def test_half_an_answer_is_none(truncated: bool) -> None:
    for end in range(len(WHOLE) - 3):
        with pytest.raises(ParseError) as caught:
            parse(WHOLE[:end], GeneratorAnswer, truncated=truncated)
        assert ("cut off at max_tokens" in str(caught.value)) == truncated


def test_an_answer_that_was_whole_before_the_cut_counts() -> None:
    assert parse(WHOLE + "\nAnd now", GeneratorAnswer, truncated=True) == ANSWER


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("3.10", "3.10"),
        ("-7", "-7"),
        ("9" * 5000, "9" * 5000),
        ("true", "true"),
        ("null", ""),
        ('[1.50, "a", {"b": null}]', '[1.50, "a", {"b": null}]'),
        ('"a\\ud800b\\u0000c"', "a\ufffdbc"),
    ],
)
def test_other_values_become_text_as_they_were_written(written: str, read: str) -> None:
    assert parse(f'{{"final_answer": {written}}}', GeneratorAnswer).final_answer == read


def test_ids_are_found_in_whatever_holds_them() -> None:
    left_out: list[str] = []
    ids = ["[str-00002]", "str-00001, str-00002", {"id": "fmt-00003"}, "the first", 4]
    answer = parse(json.dumps({"bullet_ids": ids, "final_answer": ""}), GeneratorAnswer, left_out=left_out)
    assert answer.bullet_ids == ["str-00002", "str-00001", "fmt-00003"]
    assert left_out == ["bullet id left out: not an id: 'the first'", "bullet id left out: not an id: '4'"]


def test_tags_that_cannot_be_read_are_left_out() -> None:
    left_out: list[str] = []
    tags = [{"id": "[str-00001]", "tag": "Helpful"}, {"id": "str-2", "tag": "harmful"}]
    text = json.dumps({"key_insight": None, "bullet_tags": tags})
    assert parse(text, Reflection, left_out=left_out).bullet_tags == [BulletTag(id="str-00001", tag="helpful")]
    assert len(left_out) == 1
    mapping = '{"key_insight": "", "bullet_tags": {"str-00001": "harmful"}}'
    assert parse(mapping, Reflection).bullet_tags == [BulletTag(id="str-00001", tag="harmful")]
    assert parse('{"key_insight": "x", "bullet_tags": [7]}', Reflection).bullet_tags == []


def test_operations_that_cannot_be_read_are_left_out_and_named() -> None:
    left_out: list[str] = []
    text = json.dumps(
        [
            {"type": "add", "section": "str", "content": " a "},
            {"type": "MOVE", "id": "str-00001"},
            {"type": "MERGE", "ids": ["str-00001", "str-00001"], "content": "one is not several"},
            {"type": "UPDATE", "id": "7", "content": "x"},
            {"type": "ADD", "section": "str", "content": "  "},
            {"type": "REMOVE", "id": "str-00009", "reason": None},
        ]
    )
    curation = parse(text, Curation, left_out=left_out)
    assert curation.operations == [
        AddOp(type="ADD", section="str", content="a"),
        RemoveOp(type="REMOVE", id="str-00009"),
    ]
    assert [note.split(":")[0] for note in left_out] == ["operation left out"] * 4


def test_a_curation_of_nothing_readable_is_an_error() -> None:
    with pytest.raises(ParseError, match=r"operations: .*no operation can be read"):
        parse('{"operations": [{"type": "MOVE"}]}', Curation)
    assert parse('{"operations": []}', Curation).operations == []


def test_a_list_somewhere_in_prose_is_no_curation() -> None:
    with pytest.raises(ParseError):
        parse("I propose no operations, that is [].", Curation)


def test_the_error_says_what_is_wrong() -> None:
    with pytest.raises(ParseError, match="does not fit GeneratorAnswer: final_answer: Field required"):
        parse('{"reasoning": "r"}', GeneratorAnswer)
    with pytest.raises(ParseError, match="it is empty"):
        parse(" \n", GeneratorAnswer)
    with pytest.raises(ParseError, match="no JSON object in it"):
        parse("forty-two", GeneratorAnswer)


def test_the_limits_of_repair_leave_room_for_real_answers() -> None:
    operations = [{"type": "ADD", "reason": "r" * 200, "section": "str", "content": "c" * 300}] * 20
    text = json.dumps({"reasoning": "x" * 2_000, "operations": operations})
    assert len(text) < MOST_REPAIRED and len(text) * 22 < MOST_REPAIR_WORK and text.count('"') < MOST_REPAIR_QUOTES
    assert len(parse(text[:-1] + ",}", Curation).operations) == 20


def test_operations_one_after_the_other_are_one_curation() -> None:
    first = '{"type": "ADD", "section": "str", "content": "a"}\n{"op": "remove", "id": "STR_00002"}'
    text = first + '\n{"op": "add", "content": "b"}'
    assert [operation.type for operation in parse(text, Curation).operations] == ["ADD", "REMOVE", "ADD"]


def test_what_was_run_on_or_corrected_is_named() -> None:
    for between, note in (
        ("\n\nQuestion: next?\n", "1 more after the answer left out: the text went on with another turn"),
        (" Wait, no: ", "1 before the answer left out: corrected"),
    ):
        left_out: list[str] = []
        parse(f'{{"final_answer": "1"}}{between}{{"final_answer": "2"}}', GeneratorAnswer, left_out=left_out)
        assert left_out == [note]
