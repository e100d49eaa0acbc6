"""One model call of a role: its request, its record and its parsed answer."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from ace.errors import ParseError, PromptTooLongError
from ace.prompts import PromptPack
from ace.roles.parsing import parse
from ace.types import Completion, FinishReason, Message, Request, RoleName, Sampling, Usage

MOST_REPEATED = 2_000
"""Characters of an answer that cannot be used which are shown when it is asked for again."""
LEAST_AGAIN = 128
"""Tokens that a second answer may have, at least: it has no reasoning."""
Answer = TypeVar("Answer", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class RoleModel:
    """The model of a role, and how its calls are made: by the prompts of `pack`, `guided` by JSON schemas or not.

    `complete` is a backend's.
    """

    complete: Callable[[Request], Awaitable[Completion]]
    pack: PromptPack
    sampling: Sampling
    guided: bool

    def request(self, messages: tuple[Message, ...], schema: Mapping[str, Any]) -> Request:
        """The request for an answer to `messages` that `schema` describes."""
        return Request(messages, self.sampling, schema if self.guided else None, self.pack.layout)


@dataclass(frozen=True, slots=True)
class CallRecord:
    """The record of one call. `sample_id` is None for a curator, whose call serves many samples.

    `error` says why the text could not be parsed, or, where `parsed` is true, what had to be left out of it;
    `escalated` is why the role's larger model was asked (`engine.calls.escalation.Escalation`), None where its own was.
    `finished` is the Unix time at which the answer came; the store does not keep it.
    """

    role: RoleName
    sample_id: str | None
    round: int
    digest: str
    model: str
    usage: Usage
    finish_reason: FinishReason
    text: str
    parsed: bool
    error: str | None = None
    from_cache: bool = False
    escalated: str | None = None
    finished: float = field(default_factory=time.time, compare=False)


@dataclass(frozen=True, slots=True)
class RoleResult(Generic[Answer]):
    """A typed answer, or the ParseError in its place: exactly one of `value` and `error` is None.

    `earlier` are calls whose answers were not good enough: of a smaller model, or unreadable.
    """

    value: Answer | None
    error: ParseError | None
    call: CallRecord
    earlier: tuple[CallRecord, ...] = ()

    @property
    def calls(self) -> tuple[CallRecord, ...]:
        """All of them, in order."""
        return (*self.earlier, self.call)

    def amended(self, value: Answer, *notes: str) -> RoleResult[Answer]:
        """The result with `value`; the call's record has `notes` on what was left out of it."""
        error = "; ".join(filter(None, (self.call.error, *notes)))
        return replace(self, value=value, call=replace(self.call, error=error))


async def call_role(
    model: RoleModel,
    request: Request,
    answer: type[Answer],
    *,
    role: RoleName,
    sample_id: str | None,
    round: int,
) -> RoleResult[Answer]:
    """Send `request` and parse what comes back. Inference errors pass through; a bad answer is a result.

    What cannot be read is asked for once more, without reasoning, where the pack has words for that.
    """
    result = _read(await model.complete(request), request, answer, role=role, sample_id=sample_id, round=round)
    if result.value is not None or not model.pack.again:
        return result
    shorter = _without_reasoning(request, result.call.text, model.pack.again)
    try:
        completion = await model.complete(shorter)
    except PromptTooLongError:
        return result
    second = _read(completion, shorter, answer, role=role, sample_id=sample_id, round=round)
    return replace(second, earlier=(result.call,))


def _without_reasoning(request: Request, text: str, again: str) -> Request:
    """The conversation goes on: what was answered, and what to answer now in half of the tokens."""
    answered = text[:MOST_REPEATED].strip() or "{"
    return replace(
        request,
        messages=(*request.messages, Message("assistant", answered), Message("user", again)),
        sampling=replace(request.sampling, max_tokens=max(LEAST_AGAIN, request.sampling.max_tokens // 2)),
        schema=_omit_reasoning(request.schema) if request.schema is not None else None,
    )


def _omit_reasoning(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    properties = {name: field for name, field in schema["properties"].items() if name != "reasoning"}
    return {**schema, "properties": properties, "required": list(properties)}


def _read(
    completion: Completion, request: Request, answer: type[Answer], *, role: RoleName, sample_id: str | None, round: int
) -> RoleResult[Answer]:
    value: Answer | None = None
    error: ParseError | None = None
    left_out: list[str] = []
    try:
        value = parse(completion.text, answer, truncated=completion.finish_reason == "length", left_out=left_out)
    except ParseError as problem:
        message = _cause(completion) + problem.message
        error = ParseError(message, hint=problem.hint, **{**problem.facts, "role": role})
    record = CallRecord(
        role=role,
        sample_id=sample_id,
        round=round,
        digest=request.digest,
        model=completion.model,
        usage=completion.usage,
        finish_reason=completion.finish_reason,
        text=completion.text,
        parsed=value is not None,
        error=str(error) if error else "; ".join(left_out) or None,
        from_cache=completion.from_cache,
    )
    return RoleResult(value, error, record)


def _cause(completion: Completion) -> str:
    """The server's reason for an unreadable answer, as a prefix of the parser's message."""
    if completion.finish_reason == "error":
        return f"the server ended the answer with '{completion.finish_detail or 'error'}': "
    if completion.finish_reason == "length" and completion.reasoning and not completion.text.strip():
        return "cut off while thinking: "
    return ""
