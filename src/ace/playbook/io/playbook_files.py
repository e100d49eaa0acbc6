"""Reading and writing playbook files; the suffix decides the format: .txt, .json or .md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from ace._util.files import replace_file
from ace.errors import PlaybookError, PlaybookFormatError
from ace.playbook.io.agent_text import is_agent_text, load_agent_text
from ace.playbook.io.markdown import dump_markdown, load_markdown
from ace.playbook.io.original_text import dump_text, is_original_text, load_text
from ace.playbook.io.skillbook import is_skillbook, load_skillbook
from ace.playbook.playbook import Playbook

Format = Literal["text", "json", "markdown"]

SCHEMA_VERSION = 1
"""The version of the JSON format."""

_SUFFIXES: dict[str, Format] = {".txt": "text", ".json": "json", ".md": "markdown"}


def dumps(playbook: Playbook, format: Format) -> str:
    """The playbook in `format`. Only JSON keeps everything: version, provenance, and the amendments of the prefix."""
    if format == "text":
        return dump_text(playbook)
    if format == "markdown":
        return dump_markdown(playbook)
    return json.dumps({"schema_version": SCHEMA_VERSION, **playbook.to_json()}, indent=2, ensure_ascii=False) + "\n"


def loads(text: str, format: Format, source: str = "<playbook>", *, notes: list[str] | None = None) -> Playbook:
    """The playbook in `text`. PlaybookFormatError names the source, and the line where there is one.

    Markdown may also be the original text format under another name, and both a file for agents. What could not be
    kept as it is in the text is appended to `notes`.
    """
    try:
        if format != "json" and is_agent_text(text):
            return load_agent_text(text, source, notes=notes)
        if format == "text" or (format == "markdown" and is_original_text(text)):
            return load_text(text, source, notes=notes)
        if format == "markdown":
            return load_markdown(text, source)
        return _load_json(text, source)
    except PlaybookFormatError:
        raise
    except PlaybookError as error:
        raise PlaybookFormatError(f"{source}: {error.message}", path=source) from error


def read_playbook(path: str | Path, *, notes: list[str] | None = None) -> Playbook:
    """The playbook in the file at `path`. PlaybookFormatError if it is missing, of unknown suffix or malformed.

    `notes` as in `loads`.
    """
    path = Path(path)
    format = _format(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise PlaybookFormatError(f"{path}: no such playbook file", path=str(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise PlaybookFormatError(f"{path}: cannot be read: {error}", path=str(path)) from error
    return loads(text, format, str(path), notes=notes)


def write_playbook(playbook: Playbook, path: str | Path) -> None:
    """Write `playbook` to `path`, replacing it atomically."""
    path = Path(path)
    replace_file(path, dumps(playbook, _format(path)))


def _format(path: Path) -> Format:
    format = _SUFFIXES.get(path.suffix.lower())
    if format is None:
        raise PlaybookFormatError(
            f"{path}: unknown suffix {path.suffix!r}, allowed: {', '.join(_SUFFIXES)}", path=str(path)
        )
    return format


def _load_json(text: str, source: str) -> Playbook:
    try:
        data = json.loads(text)
    except RecursionError as error:
        raise PlaybookFormatError(f"{source}: nested too deeply", path=source) from error
    except json.JSONDecodeError as error:
        raise PlaybookFormatError(
            f"{source}:{error.lineno}: not JSON: {error.msg}", path=source, line=error.lineno
        ) from error
    except ValueError as error:  # a number of thousands of digits
        raise PlaybookFormatError(f"{source}: not JSON: {error}", path=source) from error
    if is_skillbook(data):
        return load_skillbook(data, source)
    schema_version = data.get("schema_version") if isinstance(data, dict) else None
    if schema_version != SCHEMA_VERSION:
        raise PlaybookFormatError(
            f"{source}: schema_version {schema_version!r}, allowed: {SCHEMA_VERSION}", path=source
        )
    playbook = Playbook.from_json(data)
    return playbook if playbook.prefix_is_true else playbook.compacted()
