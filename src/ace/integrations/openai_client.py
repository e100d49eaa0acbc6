"""A client of the package `openai` whose requests carry a playbook."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, TypeVar

from ace.integrations.live_playbook import PlaybookSource, playbook_of
from ace.playbook import Playbook

Client = TypeVar("Client")

_SYSTEM_ROLES = ("system", "developer")


def with_playbook(client: Client, playbook: PlaybookSource) -> Client:
    """Copy `client` (`OpenAI`, `AsyncOpenAI` or their Azure kinds) so that its requests carry `playbook`.

    `chat.completions` gets it in the system message, `responses` in `instructions`; everything else, streams included,
    goes through untouched. The copy shares the connections of `client`. A copy of the copy (`with_options`) is plain.
    """
    current = playbook_of(playbook)
    copy: Any = client.copy()  # type: ignore[attr-defined]
    for resource, prepare in ((copy.chat.completions, _in_messages), (copy.responses, _in_instructions)):
        for name in ("create", "parse"):
            if method := getattr(resource, name, None):
                setattr(resource, name, _prepared(method, prepare, current))
    prepared: Client = copy
    return prepared


def _prepared(
    method: Callable[..., Any],
    prepare: Callable[[Mapping[str, Any], str], dict[str, Any]],
    current: Callable[[], Playbook],
) -> Callable[..., Any]:
    """`method` with its arguments prepared. It may be a coroutine function: what it returns is passed on as it is."""

    @wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        text = current().as_system_prompt()
        return method(*args, **(prepare(kwargs, text) if text else kwargs))

    return call


def _in_messages(kwargs: Mapping[str, Any], text: str) -> dict[str, Any]:
    messages = list(kwargs.get("messages") or ())
    first = messages[0] if messages else None
    if not isinstance(first, Mapping) or first.get("role") not in _SYSTEM_ROLES:
        return {**kwargs, "messages": [{"role": "system", "content": text}, *messages]}
    content = first.get("content") or ""
    joined = f"{content}\n\n{text}" if isinstance(content, str) else [*content, {"type": "text", "text": text}]
    return {**kwargs, "messages": [{**first, "content": joined}, *messages[1:]]}


def _in_instructions(kwargs: Mapping[str, Any], text: str) -> dict[str, Any]:
    own = kwargs.get("instructions")
    return {**kwargs, "instructions": f"{own}\n\n{text}" if isinstance(own, str) and own else text}
