r"""The playbook as prompts show it: the prefix log, line by line.

Between compactions every next rendering is the last one with lines appended, which is what lets an engine's prefix
cache serve it. Counters, versions and dates are not in it.

No content can forge a line. An id in brackets inside a content gets a backslash, `\[str-00012]`; further lines of a
content are indented or, where the format goes on after `$content`, put on the first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from string import Template

from ace.playbook.playbook import Playbook, PrefixLine

CONTINUATION = "\n    "
"""How a bullet's further lines begin."""

_ID_IN_CONTENT = re.compile(r"(?=\[[a-z]{2,6}-[0-9]{5}\])")


@dataclass(frozen=True, slots=True)
class LineFormats:
    """`string.Template` texts with `$id` and `$content` for the kinds of lines; `empty` stands for an empty playbook.

    In `removed`, `$content` is what the bullet said last.
    """

    bullet: str = "[$id] $content"
    updated: str = "[$id] now $content"
    removed: str = "[$id] removed"
    empty: str = "(empty)"


def render(playbook: Playbook, formats: LineFormats) -> str:
    """The prefix log as text, a line for each entry and no newline at the end.

    Lines that the version before was rendered with are not worked out again.
    """
    templates = {kind: Template(getattr(formats, kind)) for kind in ("bullet", "updated", "removed")}
    known, text = playbook.rendered.get(formats, (0, ""))
    if known < len(playbook.prefix):
        lines = [_line(templates[line.kind], line) for line in playbook.prefix[known:]]
        text = "\n".join([text, *lines] if known else lines)
        playbook.rendered[formats] = len(playbook.prefix), text
    return text or formats.empty


def render_line(line: PrefixLine, formats: LineFormats) -> str:
    """One line of `render`."""
    return _line(Template(getattr(formats, line.kind)), line)


def _line(template: Template, line: PrefixLine) -> str:
    lines = _ID_IN_CONTENT.sub(r"\\", line.content).strip().splitlines()
    content = CONTINUATION.join(lines) if template.template.endswith("$content") else " ".join(map(str.strip, lines))
    return template.substitute(id=line.id, content=content)
