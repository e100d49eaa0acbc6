"""One prompt text with `string.Template` placeholders and conditional blocks.

    {{?context}}
    Context: $context
    {{/context}}

A block's two marker lines stand alone on their lines and do not nest. Values are put in last and never looked at
again, so a `$name` or a marker inside a question stays text. Tags that stand alone on a line of the text, such as
`<question>`, mark where data begins and ends: a value that spells one of them gets `&lt;` for its `<`, so that no
answer can end where its text goes on, or bring its own feedback.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from string import Template

from ace.errors import PromptPackError

_MARKER = re.compile(r"\s*\{\{([?/])(\w*)\}\}\s*")
_TAG = re.compile(r"\s*</?(\w+)>\s*")


class PromptTemplate:
    """A parsed text. `source` is the file (and key) it came from, for error messages.

    PromptPackError for a placeholder outside `allowed`, a missing one of `required`, a stray `$` or an open block.
    """

    __slots__ = ("_parts", "_tags", "placeholders", "source", "text")

    def __init__(self, text: str, *, source: str, allowed: Collection[str], required: Collection[str] = ()) -> None:
        self.source, self.text = source, text
        self._parts = _split(text, source)
        self._tags = _openings(text)
        names: set[str] = set()
        for block, template in self._parts:
            names.update(_identifiers(template, source), {block} if block else ())
        for name in sorted(names - set(allowed)):
            raise _error(source, name, f"is unknown here; there are {_listed(allowed)}")
        for name in sorted(set(required) - names):
            raise _error(source, name, "is missing")
        self.placeholders = frozenset(names)

    def fill(self, values: Mapping[str, str]) -> str:
        """The text with `values` in place; blocks without a value are left out. PromptPackError for a missing value."""
        if self._tags:
            values = {name: self._tags.sub("&lt;", value) for name, value in values.items()}
        try:
            return "\n".join(
                template.substitute(values) for block, template in self._parts if not block or values[block].strip()
            )
        except KeyError as missing:
            raise _error(self.source, str(missing.args[0]), "got no value") from None


def _split(text: str, source: str) -> tuple[tuple[str, Template], ...]:
    """(block name or "", the lines up to the next marker), in order."""
    parts: list[tuple[str, Template]] = []
    lines: list[str] = []
    block = ""

    def close() -> None:
        if lines:
            parts.append((block, Template("\n".join(lines))))
            lines.clear()

    for number, line in enumerate(text.split("\n"), 1):
        marker = _MARKER.fullmatch(line)
        if marker is None:
            lines.append(line)
            continue
        kind, name = marker.groups()
        if (kind == "?") == bool(block) or (kind == "/" and name != block):
            at = f"inside block '{block}'" if block else "outside any block"
            raise PromptPackError(f"{source}, line {number}: {line.strip()} {at}", file=source, placeholder=name)
        close()
        block = name if kind == "?" else ""
    close()
    if block:
        raise _error(source, block, "opens a block that is never closed")
    return tuple(parts)


def _openings(text: str) -> re.Pattern[str] | None:
    """Matches the `<` of every tag that the text has on a line of its own, however a value may write it."""
    names = sorted({match.group(1) for line in text.split("\n") if (match := _TAG.fullmatch(line))})
    return re.compile(rf"<(?=\s{{0,9}}/?\s{{0,9}}(?:{'|'.join(names)})\b)", re.IGNORECASE) if names else None


def _identifiers(template: Template, source: str) -> list[str]:
    if not template.is_valid():
        bad = next(line for line in template.template.split("\n") if not Template(line).is_valid())
        raise PromptPackError(f"{source}: stray '$' in {bad.strip()!r}", file=source, hint="write $$ for a dollar sign")
    return template.get_identifiers()


def _listed(names: Collection[str]) -> str:
    return ", ".join(f"${name}" for name in sorted(names))


def _error(source: str, placeholder: str, problem: str) -> PromptPackError:
    return PromptPackError(f"{source}: placeholder ${placeholder} {problem}", file=source, placeholder=placeholder)
