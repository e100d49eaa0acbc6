"""Playbooks as files that agents read: a SKILL.md and a section of AGENTS.md.

Ids and counters are left out: these files are read by a model that only applies the advice. Quarantined bullets are
left out, too. `agent_text.py` reads the advice back.
"""

from __future__ import annotations

import json
import re

from ace.errors import PlaybookFormatError
from ace.playbook.playbook import Playbook

BEGIN = "<!-- ace playbook: begin -->"
END = "<!-- ace playbook: end -->"
"""Between these lines `update_agents_file` replaces what it finds."""

_SKILL_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
MAX_SKILL_NAME = 64
MAX_DESCRIPTION = 1024


def dump_skill(playbook: Playbook, *, name: str, description: str) -> str:
    """A SKILL.md: front matter with `name` and `description`, then the bullets by section.

    `name` is lower-case letters, digits and single hyphens, at most 64 characters; `description` says when an agent
    should use the skill, at most 1,024 characters. PlaybookFormatError otherwise.
    """
    if not _SKILL_NAME.fullmatch(name) or len(name) > MAX_SKILL_NAME:
        raise PlaybookFormatError(
            f"name {name!r}: a skill's name has lower-case letters, digits and single hyphens,"
            f" at most {MAX_SKILL_NAME} characters"
        )
    description = " ".join(description.split())
    if not 0 < len(description) <= MAX_DESCRIPTION:
        raise PlaybookFormatError(
            f"description of {len(description)} characters: a skill's description has 1 to {MAX_DESCRIPTION}"
        )
    # a JSON string is a YAML string whatever it holds
    front = f"---\nname: {name}\ndescription: {json.dumps(description, ensure_ascii=False)}\n---\n"
    return f"{front}\n# {name}\n\n{_advice(playbook, '##')}"


def update_agents_file(existing: str, playbook: Playbook) -> str:
    """`existing` with the playbook's section replaced, or appended where there is none.

    PlaybookFormatError where only one of the two marker lines is there.
    """
    section = f"{BEGIN}\n## Playbook\n\n{_advice(playbook, '###')}{END}\n"
    begin, end = existing.find(BEGIN), existing.find(END)
    if (begin < 0) != (end < 0) or end < begin:
        raise PlaybookFormatError(f"the lines {BEGIN!r} and {END!r} must both be there, in this order, or neither")
    if begin < 0:
        return f"{existing.rstrip()}\n\n{section}".lstrip()
    return existing[:begin] + section + existing[end + len(END) :].removeprefix("\n")


def _advice(playbook: Playbook, heading: str) -> str:
    """The bullets by section. No bullet can end the section of an AGENTS.md: comments are shown as text."""
    return playbook.advice(heading).replace("<!--", "&lt;!--") or "No advice yet.\n"
