"""The body of POST /v1/feedback."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ace.server.openai_errors import ApiError
from ace.store import Exchange, Feedback

_LONGEST = 1_000_000


class FeedbackRequest(BaseModel):
    """The outcome of the answer to `request_id`. `question` and `answer` are for answers that this server did not give.

    At least one of `correct`, `score`, `text` and `expected` is there.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    request_id: str = Field(min_length=1, max_length=200)
    correct: bool | None = None
    score: float | None = Field(default=None, ge=0.0, le=1.0)
    text: str = Field(default="", max_length=_LONGEST)
    expected: str | None = Field(default=None, max_length=_LONGEST)
    question: str | None = Field(default=None, min_length=1, max_length=_LONGEST)
    answer: str | None = Field(default=None, max_length=_LONGEST)

    @classmethod
    def parse(cls, raw: bytes) -> FeedbackRequest:
        """Read the body. ApiError (400) names the field that is wrong."""
        try:
            return cls.model_validate_json(raw)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"]))
            message = f"{where}: {first['msg']}" if where else str(first["msg"])
            raise ApiError(400, message, param=where or None) from None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.correct is None and self.score is None and not self.text.strip() and self.expected is None:
            raise ValueError("allowed: at least one of correct, score, text, expected")
        if (self.question is None) != (self.answer is None):
            raise ValueError("allowed: question and answer together, or neither")
        return self

    def feedback(self) -> Feedback:
        """The feedback as it is stored."""
        return Feedback(self.request_id, self.correct, self.score, self.text, self.expected)

    def exchange(self, run: str, version: int) -> Exchange | None:
        """The exchange that was sent along, as if `version` had answered. None where there is none."""
        if self.question is None or self.answer is None:
            return None
        return Exchange(self.request_id, run, version, self.question, self.answer)
