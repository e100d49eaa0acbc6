"""Run ids: `YYYYMMDD-HHMMSS-name-xxxx`, resolved from a prefix, the name or "latest"."""

from __future__ import annotations

import difflib
import re
import secrets
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime

from ace.errors import RunNotFoundError

_MOST_LISTED = 5


def slug(name: str) -> str:
    """`name` as lower-case ASCII letters, digits and single hyphens, 40 characters at most; "run" if none is left."""
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", ascii_name.lower()).strip("-")[:40].strip("-") or "run"


def new_run_id(name: str, created: datetime) -> str:
    """Make a new id, which sorts by the UTC second of `created`."""
    return f"{created.astimezone(UTC):%Y%m%d-%H%M%S}-{slug(name)}-{secrets.token_hex(2)}"


def resolve(name: str, ids: Sequence[str]) -> str:
    """Resolve `name` to one of `ids` (newest first). RunNotFoundError lists similar ids."""
    if name == "latest" and ids:
        return ids[0]
    if name in ids:
        return name
    matching = [run_id for run_id in ids if run_id.startswith(name)] if name else []
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise RunNotFoundError(
            f"'{name}' is the beginning of {len(matching)} runs: {_listed(matching)}",
            hint="give more of the id",
            run=name,
            near=matching,
        )
    raise unknown_run(name, ids)


def unknown_run(name: str, ids: Sequence[str]) -> RunNotFoundError:
    """Make the error for a run that is none of `ids`, with similar ones."""
    if not ids:
        return RunNotFoundError(f"no run '{name}': the store is empty", hint="start one with `ace run`", run=name)
    near = _near(name, ids)
    return RunNotFoundError(f"no run '{name}'", hint=f"did you mean {_listed(near)}?", run=name, near=near)


def _near(name: str, ids: Sequence[str]) -> list[str]:
    holding = [run_id for run_id in ids if name and name.lower() in run_id]
    close = difflib.get_close_matches(name, ids, n=_MOST_LISTED, cutoff=0.5)
    return list(dict.fromkeys([*holding, *close]))[:_MOST_LISTED] or list(ids[:3])


def _listed(ids: Sequence[str]) -> str:
    return ", ".join(ids[:_MOST_LISTED]) + (", ..." if len(ids) > _MOST_LISTED else "")
