"""The parameters that a server accepts, learned from its refusals.

Servers differ in the parameters they know, in the roles their chat template has, and in whether they guide an answer by
a schema. A refusal is answered by the same request in another form; a form that works is used from then on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from ace.errors import AceError, RequestRejectedError
from ace.inference.text.answer_grammar import without_shares
from ace.types import Message, Request

_SIMPLE = ("temperature", "top_p", "seed", "stop", "stream", "stream_options")
"""Parameters that can be left out: the server's default then holds."""
_PARAMETERS = frozenset((*_SIMPLE, "max_tokens", "max_completion_tokens", "messages", "response_format"))
_EDGES = {"temperature": 0, "top_p": 1}
"""Values that some servers count as out of range."""
_LIMIT, _NEWER_LIMIT = "max_tokens", "max_completion_tokens"
_UNSUPPORTED = re.compile(
    r"(?i)unsupported|not (?:be )?(?:support|permit|allow|accept|implement|recogni[sz]|available|use)|doesn't support"
    r"|unrecogni[sz]ed|unknown|unexpected|forbidden|extra (?:input|field|param)|invalid (?:param|arg|field)"
    r"|deprecated|no longer|instead|cannot both|only .* (?:is|are) |verified to stream"
)
_RANGE = re.compile(
    r"(?i)exceed|maximum|minimum|at most|at least|large|less than|greater than|range|between|must be|strictly"
)
"""A value that is refused, not the parameter."""
_SYSTEM = re.compile(
    r"(?i)\bsystem\b.{0,60}\b(?:role|message|prompt|instruction|turn)|\b(?:role|message|turn)s?\b.{0,80}\bsystem\b"
    r"|roles? must alternate|alternate user|only user(?:,| and)|(?:developer|system) (?:instruction|role)"
    r"|unexpected role|invalid role|unknown role|messages(?:\[0\]|\.0)\.role|jinja|chat template|template error"
)
_GRAMMAR = re.compile(r"(?i)grammar|schema|response[_ ]?format|guided|guidance|structured[_ ]output|outlines|regex")


@dataclass(frozen=True, slots=True)
class Dialect:
    """The form in which requests are put to a server."""

    guided: bool = True
    system: bool = True
    limit: str = _LIMIT
    dropped: frozenset[str] = frozenset()

    def arguments(self, model: str, request: Request) -> dict[str, Any]:
        """The body of `request`."""
        messages = request.messages if self.system else without_system(request.messages)
        sampling = request.sampling
        arguments: dict[str, Any] = {
            "model": model,
            "messages": [{"role": message.role, "content": message.content} for message in messages],
            self.limit: sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if sampling.seed is not None:
            arguments["seed"] = sampling.seed
        if sampling.stop:
            arguments["stop"] = list(sampling.stop)
        if request.schema is not None and self.guided:
            schema = {"name": "answer", "schema": without_shares(request.schema), "strict": True}
            arguments["response_format"] = {"type": "json_schema", "json_schema": schema}
        dropped = self.dropped | ({"stream_options"} if "stream" in self.dropped else frozenset())
        return {name: value for name, value in arguments.items() if name not in dropped}

    def next_form(self, error: AceError, request: Request, proven: Dialect | None) -> Dialect | None:
        """The form to try after `error`, None where the request is refused for another reason.

        `proven` is a form that the server has answered: what it took there is suspected only by name. The schema is
        suspected whatever the server says.
        """
        words = str(error.facts.get("words") or error.message)
        schema = request.schema is not None and self.guided
        system = self.system and any(message.role == "system" for message in request.messages)
        if not isinstance(error, RequestRejectedError):  # a server's fault, unless it says that it is the request's
            if (error.facts.get("status") or 0) < 500:
                return None
            if schema and _GRAMMAR.search(words):
                return replace(self, guided=False)
            return replace(self, system=False) if system and _SYSTEM.search(words) else None
        other = self._without_named(words, str(error.facts.get("parameter") or ""), request)
        if other is not None:
            return other
        if system and _SYSTEM.search(words):
            return replace(self, system=False)
        if schema:
            return replace(self, guided=False)
        return replace(self, system=False) if system and not (proven and proven.system) else None

    def merged(self, other: Dialect) -> Dialect:
        """Combine two dialects."""
        return Dialect(
            self.guided and other.guided,
            self.system and other.system,
            self.limit if other.limit == _LIMIT else other.limit,
            self.dropped | other.dropped,
        )

    def changes(self, other: Dialect) -> list[str]:
        """Describe the differences of `other`."""
        texts = []
        if self.guided and not other.guided:
            texts.append("it refuses the JSON schema, so that answers are not guided by one")
        if self.system and not other.system:
            texts.append("it has no system role, so that its text stands at the head of the user's turn")
        if self.limit != other.limit:
            texts.append(f"it takes {other.limit} in the place of {self.limit}")
        texts += [f"it refuses {name}, so that its own default holds" for name in sorted(other.dropped - self.dropped)]
        return texts

    def _without_named(self, words: str, parameter: str, request: Request) -> Dialect | None:
        """Without, or with another name for, the parameter that the refusal is about."""
        sent = self.arguments("", request)
        unsupported, ranged = _UNSUPPORTED.search(words), _RANGE.search(words)
        if _names(self.limit, words, parameter) and self.limit in sent and unsupported and not ranged:
            if self.limit == _LIMIT:
                return replace(self, limit=_NEWER_LIMIT)
            return replace(self, dropped=self.dropped | {_NEWER_LIMIT})
        for name in _SIMPLE:
            edge = ranged and sent.get(name) == _EDGES.get(name, "")
            if name in sent and _names(name, words, parameter) and (unsupported or edge):
                return replace(self, dropped=self.dropped | {name})
        return None


def without_system(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """The same conversation without the system role: its text opens the next turn of the user."""
    merged: list[Message] = []
    waiting: list[str] = []
    for message in messages:
        if message.role == "system":
            waiting.append(message.content)
        elif message.role == "user" and waiting:
            merged.append(Message("user", "\n\n".join((*waiting, message.content))))
            waiting = []
        else:
            merged.append(message)
    if waiting:
        merged.append(Message("user", "\n\n".join(waiting)))
    return tuple(merged)


def _names(name: str, words: str, parameter: str) -> bool:
    """Return True if a refusal is about parameter `name`: by its field where it has one, else by its words.

    Names that are also plain words count in quotes, or beside a word such as parameter.
    """
    if parameter.partition(".")[0].partition("[")[0] in _PARAMETERS:
        return parameter == name
    if name in ("seed", "stop", "stream"):
        return bool(
            re.search(rf"""["'`\[]{name}["'`\]]|\b{name}\s*[:=]|\b(?:parameter|argument|field)s?:?\s+{name}\b""", words)
            or re.search(rf"(?i)\b{name}\b (?:parameter|argument|field|is not supported|not supported)", words)
        )
    return re.search(rf"(?<![\w.]){name}\b", words) is not None
