"""A model's tokenizer without transformers, whose import takes seconds: enough to count tokens."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any


class PlainTokenizer:
    """The `tokenizer.json` of a folder, with what `ChatEncoder.count` asks of a tokenizer of transformers.

    It knows nothing of what transformers changes when it loads one.
    """

    def __init__(self, file: Path) -> None:
        self._tokenizer: Any = import_module("tokenizers").Tokenizer.from_file(str(file))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    @property
    def added_tokens_decoder(self) -> dict[int, Any]:
        """Added tokens by their ids."""
        added: dict[int, Any] = self._tokenizer.get_added_tokens_decoder()
        return added

    def encode(self, text: str, *, add_special_tokens: bool, split_special_tokens: bool) -> list[int]:
        """Token ids; with `split_special_tokens` text that spells a special token stays text."""
        self._tokenizer.encode_special_tokens = split_special_tokens
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=add_special_tokens).ids
        return ids
