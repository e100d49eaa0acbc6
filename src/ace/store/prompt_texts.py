"""The prompts of calls by the digests of their requests. Texts that prompts share are stored once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from sqlalchemy import Connection, select

from ace.store.database import insert_new
from ace.store.schema import prompt_texts, prompts
from ace.types import Message


def add_prompts(connection: Connection, added: Mapping[str, tuple[Message, ...]]) -> None:
    """Insert prompts by the digests of their requests. Existing ones stay."""
    texts: dict[str, str] = {}
    rows = []
    for request, messages in added.items():
        parts = []
        for message in messages:
            digest = text_digest(message.content)
            texts[digest] = message.content
            parts.append([message.role, digest])
        rows.append({"digest": request, "messages": parts})
    if rows:
        new_texts = [{"digest": digest, "text": text} for digest, text in texts.items()]
        connection.execute(insert_new(connection.dialect, prompt_texts), new_texts)
        connection.execute(insert_new(connection.dialect, prompts), rows)


def find_prompt(connection: Connection, request: str) -> tuple[Message, ...] | None:
    """Read the prompt of the request with this digest. None where it was not stored."""
    parts = connection.execute(select(prompts.c.messages).where(prompts.c.digest == request)).scalar_one_or_none()
    if parts is None:
        return None
    digests = [digest for _, digest in parts]
    rows = connection.execute(select(prompt_texts).where(prompt_texts.c.digest.in_(digests)))
    texts = {row.digest: row.text for row in rows}
    return tuple(Message(role, texts[digest]) for role, digest in parts)


def text_digest(text: str) -> str:
    """`sha256:` and the hash of the text."""
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
