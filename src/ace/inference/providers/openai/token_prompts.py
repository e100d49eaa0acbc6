"""Prompts as token ids, for a vLLM server: what a control token spells in a question then stays text.

The server is asked once whether it is vLLM (`owned_by` in `/v1/models`) and how it tokenizes a short conversation
(`/tokenize`). Only where the tokenizer on this machine gives the same ids are they used. Where the server also follows
a grammar, a guided answer has the same white space as one of an engine in this process: by its schema alone vLLM allows
white space anywhere, which weak models then write up to the limit.
"""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import openai

from ace.config import ModelSettings
from ace.errors import AceError
from ace.inference.model_files.packaged import model_path
from ace.inference.text.answer_grammar import xgrammar_rules
from ace.inference.text.chat_encoder import ChatEncoder
from ace.types import Message, Request

_PROBE = (Message("user", "Which of the two is 12,5% larger?\n"),)
_WORD = "ace"
_OF_CHATS = ("chat_template", "chat_template_kwargs", "add_generation_prompt", "continue_final_message")
"""Arguments in `extra_body` that change how a server renders messages."""

_PASSING = (408, 429, 502, 503, 504)
"""Answers of a server that is busy or still starting: it is asked again with the next try."""


class TokenPrompts:
    """Encodes requests for one server, where that is vLLM and its tokenizer is here."""

    def __init__(self, client: openai.AsyncOpenAI, settings: ModelSettings) -> None:
        self._client, self._settings = client, settings
        self._encoder: ChatEncoder | None = None
        self._detected = (
            not settings.send_token_ids or settings.base_url is None or not _fit(client, settings.engine_args)
        )
        self._detecting = asyncio.Lock()
        self._limit: int | None = None
        self._grammars = False
        self._remark = ""

    async def arguments(self, request: Request, chat: Mapping[str, Any]) -> dict[str, Any] | None:
        """The arguments of a completion for `request`, made of those of a chat; None where messages have to do.

        Raises what the client raises where the server cannot be reached.
        """
        if not self._detected:
            async with self._detecting:
                if not self._detected:
                    await self._detect()
                    self._detected = True
        if self._encoder is None:
            return None
        token_ids = self._encoder.encode(request.messages)
        arguments = {name: value for name, value in chat.items() if name not in ("messages", "response_format")}
        most = (
            arguments.pop("max_completion_tokens", None) or arguments.get("max_tokens") or request.sampling.max_tokens
        )
        room = most if self._limit is None else max(1, self._limit - len(token_ids))
        if "response_format" in chat:
            arguments["extra_body"] = {**arguments.get("extra_body", {}), **self._guided(request, chat)}
        return {**arguments, "prompt": token_ids, "max_tokens": min(most, room)}

    def take_remark(self) -> tuple[str, ...]:
        """Return the finding about the server, once."""
        remark, self._remark = self._remark, ""
        return (f"{self._settings.model}: {remark}",) if remark else ()

    def _guided(self, request: Request, chat: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments that guide the answer: a grammar where the server follows one, else the schema."""
        if not self._grammars:
            return {"response_format": chat["response_format"]}
        return {"structured_outputs": {"grammar": xgrammar_rules(json.dumps(request.schema), request.layout)}}

    async def _detect(self) -> None:
        card = await self._card()
        if card is None:
            return
        try:
            encoder = await asyncio.to_thread(_encoder, card, self._settings)
        except Exception as error:  # transformers raises many things for a tokenizer that is not there
            self._remark = f"messages are sent, not token ids: no tokenizer here ({type(error).__name__})"
            return
        if await self._tokenize() != encoder.encode(_PROBE):
            self._remark = (
                "messages are sent, not token ids: the server's tokenizer or template differs from the one here"
            )
            return
        limit = card.get("max_model_len")
        self._limit = limit if isinstance(limit, int) else None
        self._encoder = encoder
        self._grammars = await self._follows_a_grammar(encoder)
        self._remark = "a vLLM server: token ids are sent, so that control tokens in data stay text"

    async def _card(self) -> Mapping[str, Any] | None:
        """Read a vLLM server's card of the model; None from any other server."""
        try:
            listed = await self._client.get("/models", cast_to=object)
        except openai.APIStatusError as error:
            if error.status_code in _PASSING:
                raise
            return None
        cards = listed.get("data") if isinstance(listed, dict) else None
        for card in cards if isinstance(cards, list) else ():
            if isinstance(card, dict) and card.get("owned_by") == "vllm" and card.get("id") == self._settings.model:
                return card
        return None

    async def _follows_a_grammar(self, encoder: ChatEncoder) -> bool:
        """Return True if grammars can be made here and the server can say nothing but the one word of a grammar."""
        try:
            await asyncio.to_thread(import_module, "xgrammar")
            answer = await self._client.completions.create(
                model=self._settings.model,
                prompt=list(encoder.encode(_PROBE)),
                max_tokens=len(_WORD),
                temperature=0.0,
                extra_body={"structured_outputs": {"grammar": f'root ::= "{_WORD}"'}},
            )
        except ImportError:
            return False
        except openai.APIStatusError as error:
            if error.status_code in _PASSING:
                raise
            return False
        return bool(answer.choices) and answer.choices[0].text == _WORD

    async def _tokenize(self) -> list[int] | None:
        """The server's own token ids of a short conversation; None where it does not say."""
        address = str(self._client.base_url).rstrip("/").removesuffix("/v1")
        messages = [{"role": message.role, "content": message.content} for message in _PROBE]
        body = {"model": self._settings.model, "messages": messages, "add_generation_prompt": True}
        try:
            answer = await self._client.post(f"{address}/tokenize", cast_to=object, body=body)
        except openai.APIStatusError as error:
            if error.status_code in _PASSING:
                raise
            return None
        return answer.get("tokens") if isinstance(answer, dict) else None


def _encoder(card: Mapping[str, Any], settings: ModelSettings) -> ChatEncoder:
    """The tokenizer of the served model, by the name with which the server was started or that of the settings."""
    tokenizers: Any = import_module("transformers").AutoTokenizer
    names = [name for name in (card.get("root"), settings.model) if isinstance(name, str)]
    here = [name for name in names if Path(name).is_dir()]
    try:
        name = model_path((here or names)[0])
    except AceError:  # a folder of the server's machine
        name = model_path(settings.model)
    return ChatEncoder(tokenizers.from_pretrained(name, trust_remote_code=settings.trust_remote_code))


def _fit(client: openai.AsyncOpenAI, extra: Mapping[str, Any]) -> bool:
    """Return True if a completion takes these arguments of the settings as a chat does."""
    parameters = inspect.signature(client.completions.create).parameters
    body = extra.get("extra_body", {})
    return all(name in parameters for name in extra) and not any(name in body for name in _OF_CHATS)
