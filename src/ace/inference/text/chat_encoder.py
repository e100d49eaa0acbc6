"""Conversations to token ids, so that text never becomes a control token.

`apply_chat_template` with tokenization turns `<|im_end|>` inside a question into the real control token. Here the
template is rendered once around random markers; its own pieces are tokenized with special tokens, contents without.
Added tokens that are not marked as special (`<think>`, `<tool_call>`) are cut in two wherever a content spells them.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Iterable, Sequence
from functools import cached_property, lru_cache
from typing import Any

from ace.errors import RequestRejectedError
from ace.types import Message, MessageRole

_FOLDED = "its chat template takes no system turn: that text stands at the head of the user's turn"


class ChatEncoder:
    """Encodes conversations with a transformers fast tokenizer's chat template, and keeps what repeats.

    The template for each sequence of roles, and the latest contents, of which a run's shared prefix is the longest.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._lock = threading.Lock()
        self._added = _any_of(token.content for token in tokenizer.added_tokens_decoder.values())
        self._template = lru_cache(maxsize=64)(self._encode_template)
        self._content = lru_cache(maxsize=256)(self._encode_content)

    def encode(self, messages: Sequence[Message]) -> list[int]:
        """Token ids of the conversation with the generation prompt.

        A tokenizer without a template gets the contents joined by blank lines. A template without a system turn gets
        the system message at the head of the user's. RequestRejectedError for a text that is not valid Unicode, and for
        a template that refuses the roles, or that drops, repeats or reorders contents.
        """
        with self._lock:
            if getattr(self._tokenizer, "chat_template", None) is None:
                return list(self._content("\n\n".join(message.content for message in messages)))
            ids: list[int] = []
            for piece in self._template(tuple(message.role for message in messages)):
                ids += self._content(messages[piece].content) if isinstance(piece, int) else piece
            return ids

    def locate(self, messages: Sequence[Message], tokens: int) -> tuple[int, tuple[int, ...]]:
        """Count the tokens of the conversation, and the characters of each content within its first `tokens` tokens.

        Errors as in `encode`, and RequestRejectedError for a tokenizer without a template.
        """
        with self._lock:
            if getattr(self._tokenizer, "chat_template", None) is None:
                raise RequestRejectedError("the tokenizer has no chat template")
            total, within = 0, [0] * len(messages)
            for piece in self._template(tuple(message.role for message in messages)):
                ids = self._content(messages[piece].content) if isinstance(piece, int) else piece
                if isinstance(piece, int):
                    whole = tokens - total >= len(ids)
                    part = self._tokenizer.decode(ids[: max(0, tokens - total)])
                    within[piece] = len(messages[piece].content if whole else part)
                total += len(ids)
            return total, tuple(within)

    @property
    def remark(self) -> str:
        """A remark on an unusual template; empty for a usual one."""
        if getattr(self._tokenizer, "chat_template", None) is None:
            return "no chat template: turns are joined by blank lines, as for a base model"
        with self._lock:
            return "" if self._accepts_system_messages else _FOLDED

    @cached_property
    def _accepts_system_messages(self) -> bool:
        markers = _markers(2)
        conversation = [{"role": "system", "content": markers[0]}, {"role": "user", "content": markers[1]}]
        try:
            self._render(conversation, markers)
        except RequestRejectedError:
            return False
        return True

    def count(self, text: str) -> int:
        """Tokens of `text` as data."""
        with self._lock:
            return len(self._encode_content(text))

    def _encode_template(self, roles: tuple[MessageRole, ...]) -> tuple[int | tuple[int, ...], ...]:
        """The template's own tokens, and the positions of messages between them."""
        markers = _markers(len(roles))
        conversation = [{"role": role, "content": marker} for role, marker in zip(roles, markers, strict=True)]
        if roles[:2] == ("system", "user") and not self._accepts_system_messages:
            conversation[:2] = [{"role": "user", "content": f"{markers[0]}\n\n{markers[1]}"}]
        pieces = self._render(conversation, markers)
        return tuple(
            markers.index(piece) if piece in markers else tuple(self._tokenizer.encode(piece, add_special_tokens=False))
            for piece in pieces
            if piece
        )

    def _render(self, conversation: list[dict[str, str]], markers: Sequence[str]) -> list[str]:
        """The template's text around the markers, cut at each of them."""
        try:
            rendered: str = self._tokenizer.apply_chat_template(
                conversation, tokenize=False, add_generation_prompt=True
            )
        except Exception as error:  # a template is a program of the model's author
            roles = ", ".join(turn["role"] for turn in conversation)
            raise RequestRejectedError(f"the model's chat template refuses the roles {roles}: {error}") from error
        pieces = re.split("(" + "|".join(markers) + ")", rendered)
        if [piece for piece in pieces if piece in markers] != list(markers):
            raise RequestRejectedError("the model's chat template drops, repeats or reorders the messages' contents")
        return pieces

    def _encode_content(self, text: str) -> tuple[int, ...]:
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise RequestRejectedError(f"a message holds a lone surrogate at character {error.start}") from None
        ids: list[int] = []
        start = 0
        for match in self._added.finditer(text) if self._added else ():
            middle = (match.start() + match.end()) // 2
            ids += self._tokenizer.encode(text[start:middle], add_special_tokens=False, split_special_tokens=True)
            start = middle
        ids += self._tokenizer.encode(text[start:], add_special_tokens=False, split_special_tokens=True)
        return tuple(ids)


def _markers(count: int) -> list[str]:
    return [f"q{secrets.token_hex(8)}q" for _ in range(count)]


def _any_of(tokens: Iterable[str]) -> re.Pattern[str] | None:
    """Matches any added token that could be taken for control: not one character, and not a run of white space."""
    words = sorted((word for word in tokens if len(word) > 1 and not word.isspace()), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, words))) if words else None
