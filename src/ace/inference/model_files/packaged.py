"""The models that ship with ace, by name."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

from ace.errors import ModelNotFoundError

_GGUF = re.compile(r"gguf(:[\w.-]+)?$", re.IGNORECASE)

PACKAGED = {"micro-target": "target", "micro-draft": "draft"}


def is_gguf(name: str) -> bool:
    """Return True if `name` is a file of llama.cpp's format, or a repository of such files."""
    return not Path(name).expanduser().is_dir() and _GGUF.search(name) is not None


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
