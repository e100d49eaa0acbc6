"""Removal of a model's thinking before its answer."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_NAME: Final = (
    r"(?:(?:ant|seed:|inner[_-])?think(?:ing)?|(?:inner[_-])?thoughts?|reason(?:ing)?(?:_process)?|scratchpad|analysis)"
)
_OPENING = re.compile(
    rf"(?<!`)(?:<\s*{_NAME}(?:\s[^<>]*)?>|\[{_NAME}\]|◁{_NAME}▷"
    rf"|<\|(?:begin_of_|start_(?:of_)?)?{_NAME}(?:_start)?\|>"
    r"|<\|channel\|?>\s*(?:analysis|commentary|thought)|<unused94>)"
    r"|(?-i:\A\s*(?:assistant)?analysis(?=[A-Z]))",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    rf"<\s*/\s*{_NAME}\s*>|\[/{_NAME}\]|◁/{_NAME}▷"
    rf"|<\|(?:/|end_(?:of_)?){_NAME}\|>|<\|{_NAME}_end\|>"
    r"|<\|channel\|?>\s*final[^<{]*(?:<\|message\|>)?|<channel\|>|<unused95>"
    r"|(?-i:assistantfinal)",
    re.IGNORECASE,
)
_ANY = re.compile(rf"(?P<opening>{_OPENING.pattern})|(?P<closing>{_CLOSING.pattern})|(?P<end><\|end\|>)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Spoken:
    """A text without its thoughts. `unfinished`: the last of them was never closed."""

    text: str
    unfinished: bool


def without_thoughts(text: str, object_end: Callable[[int], int | None]) -> Spoken:
    """`text` without its thoughts. Tags inside a JSON object are part of it.

    `object_end` says where the whole object that begins at a position ends, None where none does. A closing tag that
    was never opened, as where the prompt's template opened it, ends a thought that began with the text.
    """
    tag = _ANY.search(text)
    if tag is None:
        return Spoken(text, unfinished=False)
    answer_parts: list[str] = []
    position = begun = 0
    thinking = False
    while tag is not None:
        if not thinking and (brace := text.find("{", position, tag.start())) >= 0:
            position = object_end(brace) or brace + 1
            if position > tag.start():
                tag = _ANY.search(text, position)
            continue
        if tag["closing"] is not None or (tag["end"] is not None and thinking):
            if not thinking:
                answer_parts.clear()
            thinking, begun = False, tag.end()
        elif tag["opening"] is not None and not thinking:
            answer_parts.append(text[begun : tag.start()])
            thinking = True
        position = tag.end()
        tag = _ANY.search(text, position)
    if not thinking:
        answer_parts.append(text[begun:])
    return Spoken("".join(answer_parts), unfinished=thinking)
