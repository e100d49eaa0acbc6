"""How the original ACE release (github.com/ace-agent/ace, playbook_utils.py) writes and reads a line of its playbook.

Kept as it is there, so that our files can be compared with what it does.
"""

from __future__ import annotations

import re


def read_line(line: str) -> tuple[str, int, int, str] | None:
    """(id, helpful, harmful, content), or None where the line is no bullet."""
    match = re.match(r"\[([^\]]+)\]\s*helpful=(\d+)\s*harmful=(\d+)\s*::\s*(.*)", line.strip())
    return (match[1], int(match[2]), int(match[3]), match[4]) if match else None


def write_line(identity: str, helpful: int, harmful: int, content: str) -> str:
    return f"[{identity}] helpful={helpful} harmful={harmful} :: {content}"


def read(text: str) -> list[tuple[str, int, int, str]]:
    """The bullets of a whole file."""
    return [found for line in text.strip().split("\n") if (found := read_line(line)) is not None]
