"""The models that ship with ace, by name."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from ace.errors import ModelNotFoundError

PACKAGED = {"micro-target": "target", "micro-draft": "draft"}


def model_path(name: str) -> str:
    """The folder of a packaged model, a local folder as it is, or else `name` itself: a hub id.

    ModelNotFoundError for what looks like a local path and is not there.
    """
    if name in PACKAGED:
        return str(files("ace") / "tasks" / "micro" / "models" / PACKAGED[name])
    path = Path(name).expanduser()
    if path.is_dir():
        return str(path)
    if name.startswith(("/", "./", "../", "~")) or name.count("/") > 1:
        raise ModelNotFoundError(f"no model at {name}: no such folder", model=name)
    return name
