"""LaTeX and other backslashes in JSON: what is doubled, and that nothing else changes."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from ace.roles import GeneratorAnswer, parse
from ace.roles.backslashes import double_backslashes, restore_commands


@given(st.text(st.characters(exclude_characters="\\\x08\x0c", exclude_categories=["Cs", "Cc"]) | st.sampled_from("\n")))
def test_text_that_is_escaped_by_the_rules_comes_back(text: str) -> None:
    read = parse(json.dumps({"reasoning": "", "final_answer": text + " ."}, ensure_ascii=False), GeneratorAnswer)
    assert " ".join(read.final_answer.replace("\\n", "\n").split()) == " ".join((text + " .").split())


@given(st.text(alphabet='\\"nrtbfu0a{} $', max_size=40))
def test_doubling_twice_is_doubling_once(text: str) -> None:
    once = double_backslashes(text)
    assert double_backslashes(once) == once


@given(st.text())
def test_restoring_adds_nothing_but_backslashes(text: str) -> None:
    restored = restore_commands(text)
    assert len(restored) >= len(text)
    assert restore_commands(restored) == restored


def test_a_properly_escaped_text_is_left_alone() -> None:
    for written in (r'{"a": "\\frac{1}{2}"}', r'{"a": "\\\\"}', r'{"a": "\"\/\u00e9"}', r'{"a": "x\ny\tz"}'):
        assert double_backslashes(written) == written
