"""Preview of a task without a model: its splits, and the prompts of some samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from ace.engine.preview import Preview
from ace.reporting.text import UNKNOWN, visible_lines
from ace.tasks import InteractiveTask, Task, abilities_of
from ace.types import ROLES, Request, Score

MOST_CHARACTERS = 4_000
"""Characters of one message in the preview; longer ones are cut in the middle."""


def task_view(task: Task, previews: Sequence[Preview]) -> RenderableType:
    """The task, then each preview."""
    table = Table.grid(padding=(0, 3))
    table.add_column(style="dim")
    table.add_column()
    table.add_row("task", Text(visible_lines(task.name)))
    sizes = ((name, len(getattr(task.splits, name))) for name in ("train", "validation", "test"))
    table.add_row("samples", Text(", ".join(f"{name} {size}" for name, size in sizes)))
    table.add_row("optional", Text(", ".join(_optional_methods(task)) or "none"))
    return Group(table, *(part for one in previews for part in _preview(one)))


def _optional_methods(task: Task) -> list[str]:
    abilities = abilities_of(task)
    methods = {
        "observes answers": abilities.observing,
        "compares answers": abilities.comparing,
        "measures evaluations": abilities.measuring,
        "has answer schemas": abilities.schema,
        "acts step by step": isinstance(task, InteractiveTask),
        "grades in threads": abilities.threads,
    }
    return [name for name, present in methods.items() if present]


def _preview(one: Preview) -> list[RenderableType]:
    parts: list[RenderableType] = [Text(), Rule(Text(f"sample {visible_lines(one.sample.id)}"), align="left")]
    table = Table.grid(padding=(0, 3))
    table.add_column(style="dim")
    table.add_column()
    table.add_row("target", _clipped(one.sample.target or UNKNOWN))
    table.add_row("graded", _graded(one.perfect))
    table.add_row("empty answer", _graded(one.empty))
    if one.observed is not None:
        table.add_row("observed of it", _clipped(one.observed.text or "nothing"))
    parts.append(table)
    first = one.requests[ROLES[0]].messages[0].content
    parts += [Text(), Text("all roles see first", style="bold"), _clipped(first)]
    for role in ROLES:
        request = one.requests[role]
        parts += [Text(), Text(f"the {role} sees", style="bold")]
        parts += [_clipped(message.content) for message in request.messages[1:]]
        parts.append(Text(f"and answers with {_fields(request)}", style="dim"))
    return parts


def _graded(score: Score | None) -> Text:
    if score is None:
        return Text(UNKNOWN)
    return Text(f"{score.value:.2f} {'right' if score.correct else 'not right'}: {visible_lines(score.feedback)[:300]}")


def _clipped(text: str) -> Text:
    clipped = visible_lines(text)
    if len(clipped) > MOST_CHARACTERS:
        cut, half = len(clipped) - MOST_CHARACTERS, MOST_CHARACTERS // 2
        clipped = f"{clipped[:half]}\n... {cut} characters ...\n{clipped[-half:]}"
    return Text(clipped)


def _fields(request: Request) -> str:
    schema: Mapping[str, Any] = request.schema or {}
    return ", ".join(schema.get("properties", {})) or "text"
