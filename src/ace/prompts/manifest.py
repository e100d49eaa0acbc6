"""`pack.yaml`: a pack's name, version, line formats and rules."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ace.errors import PromptPackError
from ace.playbook.render import LineFormats
from ace.types import JsonLayout

OperationName = Literal["ADD", "UPDATE", "MERGE", "REMOVE"]
OPERATIONS: tuple[OperationName, ...] = ("ADD", "UPDATE", "MERGE", "REMOVE")
"""Operations that a curator may propose."""

_OPTIONAL_FIELDS = Literal[
    "reasoning",
    "error_identification",
    "root_cause_analysis",
    "correct_approach",
    "reason",
    "bullet_ids",
    "bullet_tags",
]
_DEFAULTS = LineFormats()
_LINE_KEYS = ("bullet", "updated", "removed", "empty")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LineTexts(_Strict):
    """Formats of the playbook's lines; see `ace.playbook.render.LineFormats`."""

    bullet: str = _DEFAULTS.bullet
    updated: str = _DEFAULTS.updated
    removed: str = _DEFAULTS.removed
    empty: str = _DEFAULTS.empty


class AnswerRules(_Strict):
    """Bounds of a guided answer: it can name only bullets that the prompt shows, and lists end.

    The generator names up to `most_used` bullets, with `ids_first` before it reasons. `most_bullets` are the ids or
    tags in one answer of the other roles, `most_operations` those of one curation.
    """

    layout: JsonLayout = "spaced"
    ids_first: bool = False
    most_used: Annotated[int, Field(ge=1)] = 6
    most_bullets: Annotated[int, Field(ge=1)] = 6
    most_operations: Annotated[int, Field(ge=1)] = 10


class SectionEntry(_Strict):
    """A section that an empty playbook begins with."""

    slug: Annotated[str, Field(pattern=r"^[a-z]{2,6}$")]
    title: Annotated[str, Field(pattern=r"\S")]


class Manifest(_Strict):
    """The keys of pack.yaml. The four line formats may stand under `formats` or at the top.

    `one_line` puts every text of a sample or an answer on one line: for packs that mark data by lines, not by tags.
    `together` is the reflector's text for several samples that share a target; each of `$samples` reads as
    `together_sample`. `together_insight` is the form of the insight: `$case` are the phrases that the answer names.
    `again` asks once more, without reasoning, where an answer was cut off or cannot be read.
    """

    name: Annotated[str, Field(pattern=r"\S")]
    version: int
    formats: LineTexts = LineTexts()
    retry: str = ""
    insight: str = "- $insight"
    insight_separator: str = ""
    reflection: str = "$key_insight"
    together: str = ""
    together_sample: str = "$question"
    together_insight: str = ""
    again: str = ""
    answers: AnswerRules | None = None
    one_line: bool = False
    omit: tuple[_OPTIONAL_FIELDS, ...] = ()
    operations: Annotated[tuple[OperationName, ...], Field(min_length=1)] = OPERATIONS
    sections: tuple[SectionEntry, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _gather_formats(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "formats" in data:
            return data
        lines = {key: data[key] for key in _LINE_KEYS if key in data}
        return {**{key: value for key, value in data.items() if key not in lines}, "formats": lines}

    @field_validator("sections")
    @classmethod
    def _distinct(cls, sections: tuple[SectionEntry, ...]) -> tuple[SectionEntry, ...]:
        slugs = [section.slug for section in sections]
        for slug in slugs:
            if slugs.count(slug) > 1:
                raise ValueError(f"slug '{slug}' twice")
        return sections


def read_manifest(text: str, source: str) -> Manifest:
    """PromptPackError names `source`, the line or key, and what is allowed there."""
    try:
        return Manifest.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise PromptPackError(f"{source}{line}: {getattr(error, 'problem', error)}", file=source) from error
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(str(part) for part in problem["loc"]) or "the whole file"
        allowed = f"; allowed: {', '.join(Manifest.model_fields)}" if problem["type"] == "extra_forbidden" else ""
        raise PromptPackError(f"{source}: {key}: {problem['msg']}{allowed}", file=source, key=key) from error
