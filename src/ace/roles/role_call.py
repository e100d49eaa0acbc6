"""One model call of a role: what was asked, what came back, and what could be made of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import BaseModel

from ace.errors import ParseError
from ace.roles.parsing import parse
from ace.types import Completion, FinishReason, Request, RoleName, Usage

Answer = TypeVar("Answer", bound=BaseModel)
Complete = Callable[[Request], Awaitable[Completion]]
"""A backend's `complete`."""


@dataclass(frozen=True, slots=True)
class CallRecord:
    """What is kept of one call. `sample_id` is None for a curator, whose call serves many samples.

    `error` says why the text could not be parsed, or, where `parsed` is true, what had to be left out of it;
    `escalated` is why the role's larger model was asked (`engine.calls.escalation.Escalation`), None where its own was.
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


@dataclass(frozen=True, slots=True)
class RoleResult(Generic[Answer]):
    """A typed answer, or the ParseError that stands in its place: exactly one of `value` and `error` is None.

    `earlier` are calls of a smaller model whose answers were not good enough.
    """

    value: Answer | None
    error: ParseError | None
    call: CallRecord
    earlier: tuple[CallRecord, ...] = ()

    @property
    def calls(self) -> tuple[CallRecord, ...]:
        """All of them, in order."""
        return (*self.earlier, self.call)


async def call_role(
    complete: Complete, request: Request, answer: type[Answer], *, role: RoleName, sample_id: str | None, round: int
) -> RoleResult[Answer]:
    """Send `request` and parse what comes back. Inference errors pass through; a bad answer is a result."""
    completion = await complete(request)
    value: Answer | None = None
    error: ParseError | None = None
    left_out: list[str] = []
    try:
        value = parse(completion.text, answer, truncated=completion.finish_reason == "length", left_out=left_out)
    except ParseError as problem:
        error = ParseError(problem.message, hint=problem.hint, **{**problem.facts, "role": role})
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
