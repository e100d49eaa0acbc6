r"""The playbook as prompts show it: the prefix log, line by line.

Between compactions every next rendering is the last one with lines appended, which is what lets an engine's prefix
cache serve it. Counters, versions and dates are not in it.

No content can forge a line. An id in brackets inside a content gets a backslash, `\[str-00012]`; further lines of a
content are indented or, where the format goes on after `$content`, put on the first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from string import Template

from ace.playbook.playbook import Playbook, PrefixLine

CONTINUATION = "\n    "
"""Indentation of a bullet's further lines."""

_ID_IN_CONTENT = re.compile(r"(?=\[[a-z]{2,6}-[0-9]{5}\])")


@dataclass(frozen=True, slots=True)
class LineFormats:
    """`string.Template` texts with `$id` and `$content` for the kinds of lines; `empty` is shown for an empty playbook.

    In `removed`, `$content` is what the bullet said last.
    """

    bullet: str = "[$id] $content"
    updated: str = "[$id] now $content"
    removed: str = "[$id] removed"
    empty: str = "(empty)"


def render(playbook: Playbook, formats: LineFormats) -> str:
    """The prefix log as text, a line for each entry and no newline at the end."""
    return "\n".join(render_line(line, formats) for line in playbook.prefix) or formats.empty


def render_line(line: PrefixLine, formats: LineFormats) -> str:
    """One line of `render`."""
    return _fill(getattr(formats, line.kind), line.id, line.content)


@lru_cache(maxsize=16_384)  # each batch renders the lines of the batches before it again
def _fill(template: str, identity: str, content: str) -> str:
    lines = _ID_IN_CONTENT.sub(r"\\", content).strip().splitlines()
    text = CONTINUATION.join(lines) if template.endswith("$content") else " ".join(map(str.strip, lines))
    return Template(template).substitute(id=identity, content=text)
