"""Frozen value types of all rooms: messages, requests, completions, usage, samples, scores.

Times are wall-clock seconds, token counts are the engine's own numbers. Nothing here holds behaviour beyond derived
values and checks of what a caller wrote; nothing here imports more than the standard library and the errors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from ace._util.hashing import digest
from ace.errors import ConfigError

MessageRole = Literal["system", "user", "assistant"]
RoleName = Literal["generator", "reflector", "curator"]
FinishReason = Literal["stop", "length", "error"]
JsonLayout = Literal["compact", "spaced"]
"""White space of a guided answer: none, or a blank after `:` and `,`."""
TOKEN_SHARE = "x-token-share"
"""Key of a text's schema: the share of the answer's tokens that the text may take, where an engine can bound it."""

ROLES: tuple[RoleName, ...] = ("generator", "reflector", "curator")


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation. `content` is data: it can never become a control token."""

    role: MessageRole
    content: str

    def __post_init__(self) -> None:
        if self.role not in get_args(MessageRole):
            raise ConfigError.at("message.role", self.role, ", ".join(get_args(MessageRole)))
        if not isinstance(self.content, str):
            raise ConfigError.at("message.content", self.content, "a text")


@dataclass(frozen=True, slots=True)
class Sampling:
    """Sampling of tokens. Temperature 0 takes the most probable one; `seed` None leaves the seed to the engine.

    With `ignore_eos` an answer has exactly `max_tokens`, or what the context has left: for measurements, in which every
    engine is to do the same work.

    ConfigError for max_tokens below 1, a negative temperature, and top_p outside (0, 1].
    """

    max_tokens: int = 2048
    temperature: float = 0.1
    top_p: float = 0.95
    seed: int | None = None
    stop: tuple[str, ...] = ()
    ignore_eos: bool = False

    def __post_init__(self) -> None:
        if self.max_tokens < 1:
            raise ConfigError.at("sampling.max_tokens", self.max_tokens, "1 or more")
        if not 0 <= self.temperature < math.inf:
            raise ConfigError.at("sampling.temperature", self.temperature, "0 or more")
        if not 0 < self.top_p <= 1:
            raise ConfigError.at("sampling.top_p", self.top_p, "above 0, at most 1")


@dataclass(frozen=True, slots=True)
class Request:
    """One model call: a conversation, how to sample, and (optionally) the JSON schema the answer must follow.

    `layout` is the white space of a guided answer, where the engine can be told.

    ConfigError for a schema with `sampling.ignore_eos`: an answer that follows a schema ends where the schema ends.
    """

    messages: tuple[Message, ...]
    sampling: Sampling = field(default_factory=Sampling)
    schema: Mapping[str, Any] | None = None
    layout: JsonLayout = "compact"

    def __post_init__(self) -> None:
        if self.schema is not None and self.sampling.ignore_eos:
            raise ConfigError.at("sampling.ignore_eos", True, "false, with a schema")

    @property
    def digest(self) -> str:
        """`sha256:` and the hash of the canonical JSON of everything that decides the answer."""
        messages = [fields_of(message) for message in self.messages]
        sampling = fields_of(self.sampling)
        if not self.sampling.ignore_eos:
            del sampling["ignore_eos"]  # stored digests are older than this field
        layout = {} if self.layout == "compact" else {"layout": self.layout}  # and than this one
        return digest({"messages": messages, "sampling": sampling, "schema": self.schema, **layout})


def fields_of(value: Any) -> dict[str, Any]:
    """The fields of a slotted dataclass by name, as they are. `asdict` copies them all, which takes far longer."""
    return {name: getattr(value, name) for name in type(value).__slots__}


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens and seconds of one call, as the engine reports them; None where it does not.

    Of the `drafted_tokens` that speculative decoding guessed in `draft_steps` steps, the model took `accepted_tokens`;
    all three are 0 where nothing was guessed. Those of a last step count whole, also where the answer ends within it.
    `reasoning_tokens` is the part of the completion that a server keeps apart from the answer; `estimated_tokens` are
    those of prompt and completion that no engine reported.
    """

    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    queue_s: float | None = None
    ttft_s: float | None = None
    total_s: float = 0.0
    drafted_tokens: int = 0
    accepted_tokens: int = 0
    draft_steps: int = 0
    reasoning_tokens: int = 0
    estimated_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.cached_tokens + other.cached_tokens,
            self.completion_tokens + other.completion_tokens,
            _add(self.queue_s, other.queue_s),
            _add(self.ttft_s, other.ttft_s),
            self.total_s + other.total_s,
            self.drafted_tokens + other.drafted_tokens,
            self.accepted_tokens + other.accepted_tokens,
            self.draft_steps + other.draft_steps,
            self.reasoning_tokens + other.reasoning_tokens,
            self.estimated_tokens + other.estimated_tokens,
        )


def _add(a: float | None, b: float | None) -> float | None:
    return b if a is None else a if b is None else a + b


@dataclass(frozen=True, slots=True)
class Completion:
    """An engine's answer to one `Request`."""

    text: str
    finish_reason: FinishReason
    usage: Usage
    model: str
    attempts: int = 1
    from_cache: bool = False
    """True if the completion cache answered, without a call of an engine; `usage` is then zero."""
    reasoning: str = ""
    """The model's thinking, where its server keeps that apart from the answer."""
    finish_detail: str = ""
    """The server's own word where `finish_reason` is "error", such as `content_filter`."""
    notes: tuple[str, ...] = ()
    """Changes that the backend made to its requests because the server refused them; each is reported once."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One item of a task. `target` is None where there is no label; `metadata` is never shown to a model."""

    id: str
    question: str
    target: str | None = None
    context: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def without_target(self) -> Sample:
        """The sample for prompts that must not contain its target."""
        return replace(self, target=None)


@dataclass(frozen=True, slots=True)
class Observation:
    """Reaction of an environment to an answer, without the target: a program's output, an error, a tool's reply.

    `failed` is None where the reaction does not show whether the answer worked.
    """

    text: str
    failed: bool | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """A grade: `value` in [0, 1], whether that counts as correct, and feedback for the reflector."""

    value: float
    correct: bool
    feedback: str = ""
