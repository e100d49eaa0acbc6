"""What an insight repeats, found without a model call."""

from __future__ import annotations

import pytest

from ace.roles.insight_check import find_repetition

QUESTION = "Hello, the box was crushed in one corner and so was the kettle inside it. Thanks, Ada"
PROMPT = "one rule in one sentence: for which kind of question it holds, in general words, and what the answer is then"


@pytest.mark.parametrize(
    ("insight", "repeated"),
    [
        ("Goods that were damaged on the way go to K83.", None),
        ("When the box was crushed in one corner, the ticket goes to K83, as for all goods damaged on the way.", None),
        ("K83", "the right answer"),
        ("the answer is k83", None),
        ("The kettle inside it", "the question"),
        ("The box was crushed in one corner and so was the kettle inside it.", "the question"),
        ("The customer wrote: the box was crushed in one corner and so was the kettle inside it", "the question"),
        ("One rule in one sentence: for which kind of question it holds, in general words", "the prompt"),
        ("", None),
        (" - ", None),
    ],
)
def test_only_what_adds_nothing_is_found(insight: str, repeated: str | None) -> None:
    assert find_repetition(insight, questions=(QUESTION, ""), target="K83", prompt=PROMPT) == repeated
