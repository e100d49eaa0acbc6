"""Run ids: `YYYYMMDD-HHMMSS-name-xxxx`, made once, and found again by a prefix, the name or "latest"."""

from __future__ import annotations

import difflib
import re
import secrets
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime

from ace.errors import RunNotFoundError

_SHOWN = 5


def slug(name: str) -> str:
    """`name` as lower-case ASCII letters, digits and single hyphens, 40 characters at most; "run" if none is left."""
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", ascii_name.lower()).strip("-")[:40].strip("-") or "run"


def new_run_id(name: str, created: datetime) -> str:
    """A fresh id; sorts by the UTC second of `created`."""
    return f"{created.astimezone(UTC):%Y%m%d-%H%M%S}-{slug(name)}-{secrets.token_hex(2)}"


def resolve(name: str, ids: Sequence[str]) -> str:
    """The one of `ids` (newest first) that `name` means; RunNotFoundError with the near ones otherwise."""
    if name == "latest" and ids:
        return ids[0]
    if name in ids:
        return name
    found = [run_id for run_id in ids if run_id.startswith(name)] if name else []
    if len(found) == 1:
        return found[0]
    if found:
        raise RunNotFoundError(
            f"'{name}' is the beginning of {len(found)} runs: {_listed(found)}",
            hint="give more of the id",
            run=name,
            near=found,
        )
    raise not_found(name, ids)


def not_found(name: str, ids: Sequence[str]) -> RunNotFoundError:
    """The error for a run that is none of `ids`, with the near ones."""
    if not ids:
        return RunNotFoundError(f"no run '{name}': the store is empty", hint="start one with `ace run`", run=name)
    near = _near(name, ids)
    return RunNotFoundError(f"no run '{name}'", hint=f"did you mean {_listed(near)}?", run=name, near=near)


def _near(name: str, ids: Sequence[str]) -> list[str]:
    holding = [run_id for run_id in ids if name and name.lower() in run_id]
    close = difflib.get_close_matches(name, ids, n=_SHOWN, cutoff=0.5)
    return list(dict.fromkeys([*holding, *close]))[:_SHOWN] or list(ids[:3])


def _listed(ids: Sequence[str]) -> str:
    return ", ".join(ids[:_SHOWN]) + (", ..." if len(ids) > _SHOWN else "")
