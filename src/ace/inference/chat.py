"""Conversations to token ids, so that text never becomes a control token.

`apply_chat_template` with tokenization turns `<|im_end|>` inside a question into the real control token. Here the
template is rendered once around random markers; its own pieces are tokenized with special tokens, contents without.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from ace.errors import RequestRejectedError
from ace.types import Message, MessageRole


class ChatEncoder:
    """Encodes conversations with a transformers fast tokenizer's chat template, and keeps what repeats: the template
    for each sequence of roles, and the latest contents, of which a run's shared prefix is the longest."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._lock = threading.Lock()
        self._template = lru_cache(maxsize=64)(self._encode_template)
        self._content = lru_cache(maxsize=256)(self._encode_content)

    def encode(self, messages: Sequence[Message]) -> list[int]:
        """Token ids of the conversation with the generation prompt.

        A tokenizer without a template gets the contents joined by blank lines. RequestRejectedError for a text that is
        not valid Unicode, and for a template that drops, repeats or reorders contents.
        """
        with self._lock:
            if getattr(self._tokenizer, "chat_template", None) is None:
                return list(self._content("\n\n".join(message.content for message in messages)))
            ids: list[int] = []
            for piece in self._template(tuple(message.role for message in messages)):
                ids += self._content(messages[piece].content) if isinstance(piece, int) else piece
            return ids

    def count(self, text: str) -> int:
        """Tokens of `text` as data."""
        with self._lock:
            return len(self._encode_content(text))

    def _encode_template(self, roles: tuple[MessageRole, ...]) -> tuple[int | tuple[int, ...], ...]:
        """The template's own tokens, and the positions of messages between them."""
        markers = [f"q{secrets.token_hex(8)}q" for _ in roles]
        turns = [{"role": role, "content": marker} for role, marker in zip(roles, markers, strict=True)]
        rendered: str = self._tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        pieces = re.split("(" + "|".join(markers) + ")", rendered)
        if [piece for piece in pieces if piece in markers] != markers:
            raise RequestRejectedError("the model's chat template drops, repeats or reorders the messages' contents")
        return tuple(
            markers.index(piece) if piece in markers else tuple(self._tokenizer.encode(piece, add_special_tokens=False))
            for piece in pieces
            if piece
        )

    def _encode_content(self, text: str) -> tuple[int, ...]:
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise RequestRejectedError(f"a message holds a lone surrogate at character {error.start}") from None
        return tuple(self._tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True))
