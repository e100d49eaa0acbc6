"""Grammars of guided answers, as llguidance reads them with the micro model's tokenizer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ace.inference.model_files.packaged import model_path
from ace.inference.text.answer_grammar import bounded_grammar, guidance_schema, without_shares
from ace.types import TOKEN_SHARE, JsonLayout

llguidance = pytest.importorskip("llguidance")
hf = pytest.importorskip("llguidance.hf")
transformers = pytest.importorskip("transformers")

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "reasoning": {"type": "string", TOKEN_SHARE: 0.5},
        "ids": {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}, "maxItems": 2},
        "answer": {"type": "string"},
    },
    "required": ["reasoning", "ids", "answer"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return transformers.AutoTokenizer.from_pretrained(model_path("micro-target"))


def accepted(tokenizer: Any, grammar: str, text: str) -> str:
    """The part of `text`, from its beginning, that `grammar` allows, and a tick where it may end there."""
    matcher = llguidance.LLMatcher(hf.from_tokenizer(tokenizer), grammar, log_level=0)
    assert not matcher.get_error()
    tokens = tokenizer.encode(text, add_special_tokens=False)
    taken = matcher.try_consume_tokens(tokens)
    return str(tokenizer.decode(tokens[:taken])) + ("✓" if taken == len(tokens) and matcher.is_accepting() else "")


def lark(layout: JsonLayout, max_tokens: int) -> str:
    return str(llguidance.grammar_from("grammar", bounded_grammar(json.dumps(SCHEMA), layout, max_tokens)))


@pytest.mark.parametrize(
    ("layout", "answer", "other"),
    [
        ("compact", '{"reasoning":"x \\" y","ids":["a"],"answer":""}', '{"reasoning": "x", "ids": [], "answer": ""}'),
        ("spaced", '{"reasoning": "x", "ids": ["a", "b"], "answer": "b"}', '{"reasoning":"x","ids":[],"answer":""}'),
    ],
)
def test_white_space_is_that_of_the_layout(tokenizer: Any, layout: JsonLayout, answer: str, other: str) -> None:
    plain = llguidance.LLMatcher.grammar_from_json_schema(json.dumps(guidance_schema(without_shares(SCHEMA), layout)))
    for grammar in (lark(layout, 64), plain):
        assert accepted(tokenizer, grammar, answer) == answer + "✓"
        assert not accepted(tokenizer, grammar, other).endswith("✓")


def test_a_text_ends_at_its_share_and_the_rest_still_fits(tokenizer: Any) -> None:
    words = " ".join(["again"] * 40)
    before = len(tokenizer.encode(words, add_special_tokens=False))
    cut = accepted(tokenizer, lark("compact", 20), f'{{"reasoning":"{words}","ids":[],"answer":"x"}}')
    written = tokenizer.encode(cut.removeprefix('{"reasoning":"'), add_special_tokens=False)
    assert before > 10 and len(written) <= 10
    whole = cut + '","ids":[],"answer":"x"}'
    assert accepted(tokenizer, lark("compact", 20), whole) == whole + "✓"
    assert accepted(tokenizer, lark("compact", 2000), f'{{"reasoning":"{words}","ids":[],"answer":"x"}}').endswith("✓")


def test_other_fields_keep_the_rules_of_their_schema(tokenizer: Any) -> None:
    for wrong in ('["c"]', '["a","b","a"]', '"a"'):
        answer = f'{{"reasoning":"","ids":{wrong},"answer":"x"}}'
        assert not accepted(tokenizer, lark("compact", 64), answer).endswith("✓")


def test_other_engines_get_a_schema_without_shares() -> None:
    fields = without_shares(SCHEMA)["properties"]
    assert fields["reasoning"] == {"type": "string"} and fields["ids"] == SCHEMA["properties"]["ids"]
    assert without_shares({"type": "string"}) == {"type": "string"}
