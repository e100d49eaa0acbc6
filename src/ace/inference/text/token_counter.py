"""A model's tokenizer without transformers, whose import takes seconds: enough to count tokens and to find them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any


class PlainTokenizer:
    """The `tokenizer.json` of a folder, with what `ChatEncoder` asks of a tokenizer of transformers.

    It knows nothing of what transformers changes when it loads one.
    """

    def __init__(self, file: Path) -> None:
        self._folder = file.parent
        self._tokenizer: Any = import_module("tokenizers").Tokenizer.from_file(str(file))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    @property
    def added_tokens_decoder(self) -> dict[int, Any]:
        """Added tokens by their ids."""
        added: dict[int, Any] = self._tokenizer.get_added_tokens_decoder()
        return added

    @cached_property
    def chat_template(self) -> str | None:
        """The template beside the tokenizer, None where there is none."""
        file = self._folder / "chat_template.jinja"
        template = file.read_text(encoding="utf-8") if file.is_file() else self._config.get("chat_template")
        return template if isinstance(template, str) else None

    @cached_property
    def _config(self) -> dict[str, Any]:
        file = self._folder / "tokenizer_config.json"
        config: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        return config

    def apply_chat_template(
        self, conversation: Sequence[dict[str, str]], *, tokenize: bool, add_generation_prompt: bool
    ) -> str:
        """Render the template as transformers does. Whatever it raises is raised."""
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        assert not tokenize
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
        )
        environment.globals["raise_exception"] = _refuse
        tokens = {name: _content(value) for name, value in self._config.items() if name.endswith("_token")}
        template = environment.from_string(self.chat_template or "")
        return template.render(messages=conversation, add_generation_prompt=add_generation_prompt, **tokens)

    def encode(self, text: str, *, add_special_tokens: bool, split_special_tokens: bool = False) -> list[int]:
        """Token ids; with `split_special_tokens` text that spells a special token stays text."""
        self._tokenizer.encode_special_tokens = split_special_tokens
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=add_special_tokens).ids
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the tokens."""
        text: str = self._tokenizer.decode(list(ids), skip_special_tokens=False)
        return text


def _content(token: object) -> object:
    """A special token's text, which some configs hold in an object."""
    return token.get("content") if isinstance(token, dict) else token


def _refuse(message: str) -> None:
    raise ValueError(message)
