"""The prompt of one call, divided into what the prefix cache had and what was computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from ace.errors import AceError
from ace.inference.model_files.packaged import model_path
from ace.inference.text.chat_encoder import ChatEncoder
from ace.inference.text.token_counter import PlainTokenizer
from ace.roles import CallRecord
from ace.store import RunReader
from ace.types import Message

Precision = Literal["tokens", "share"]
"""The cut is exact to the token, or the share of cached tokens applied to the characters."""


@dataclass(frozen=True, slots=True)
class PromptPart:
    """A message: the text that came from the prefix cache, and the text that was computed."""

    role: str
    cached: str
    computed: str


@dataclass(frozen=True, slots=True)
class PromptView:
    """A call and its prompt. `parts` is empty where the prompt was not stored."""

    call: CallRecord
    parts: tuple[PromptPart, ...]
    precision: Precision


def prompt_view(store: RunReader, run: str, request: str) -> PromptView:
    """Read the call of `run` with the request of this digest. RunNotFoundError where there is none."""
    call = store.call(run, request)
    messages = store.prompt(request) or ()
    within = _within_tokens(store.run(run).settings, call, messages)
    precision: Precision = "share" if within is None else "tokens"
    if within is None:
        within = _within_share(call, messages)
    parts = tuple(
        PromptPart(message.role, message.content[:characters], message.content[characters:])
        for message, characters in zip(messages, within, strict=True)
    )
    return PromptView(call, parts, precision)


def _within_tokens(
    settings: Mapping[str, Any], call: CallRecord, messages: Sequence[Message]
) -> tuple[int, ...] | None:
    """Characters of each message within the cached tokens. None without the model's tokenizer on this machine.

    None, too, where the tokenizer counts other tokens than the engine did: the engine saw another text.
    """
    folder = _tokenizer_folder(settings, call.model)
    if folder is None or not messages:
        return None
    try:
        total, within = _encoder(folder).locate(messages, call.usage.cached_tokens)
    except (AceError, ImportError, OSError, ValueError):
        return None
    return within if total == call.usage.prompt_tokens else None


def _within_share(call: CallRecord, messages: Sequence[Message]) -> tuple[int, ...]:
    """Characters of each message, if tokens were characters of one length."""
    usage = call.usage
    share = usage.cached_tokens / usage.prompt_tokens if usage.prompt_tokens else 0.0
    left = round(share * sum(len(message.content) for message in messages))
    within = []
    for message in messages:
        within.append(min(left, len(message.content)))
        left -= within[-1]
    return tuple(within)


def _tokenizer_folder(settings: Mapping[str, Any], model: str) -> Path | None:
    """The folder of the tokenizer of the model that answered, where it is a folder of this machine."""
    for entry in settings["models"].values():
        name = entry["model"]
        if not name or model.partition("+")[0] != name:
            continue
        try:
            folder = Path(entry.get("engine_args", {}).get("tokenizer") or model_path(name))
        except AceError:
            return None
        return folder if (folder / "tokenizer.json").is_file() else None
    return None


@lru_cache(maxsize=4)
def _encoder(folder: Path) -> ChatEncoder:
    return ChatEncoder(PlainTokenizer(folder / "tokenizer.json"))
