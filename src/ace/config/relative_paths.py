"""Relative paths: of a config file to its folder, of `--set` to the working folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

Key = tuple[str, ...]

_FILES: tuple[Key, ...] = (
    ("task", "path"),
    ("task", "train"),
    ("task", "validation"),
    ("task", "test"),
    ("task", "appworld", "root"),
    ("playbook", "initial"),
)

_FILES_ALONE = ("jsonl", "csv", "parquet", "python")
_ENDINGS = (".jsonl", ".ndjson", ".csv", ".parquet")


def locate(values: Mapping[str, Any], folder_of: Callable[[Key], Path | None]) -> dict[str, Any]:
    """`values` with every relative path put below the folder that it is relative to; None leaves it as it is.

    Models, prompt packs and `hf` data sets also have names: they are taken for paths where they start with `./`, `../`
    or `~/`, a prompt pack also where it holds a `/`, and a data set also where it exists.
    """
    located = dict(values)
    for key in _paths(values):
        value, folder = get(values, key), folder_of(key)
        if isinstance(value, str) and folder is not None:
            path = str(folder / Path(value).expanduser())
            if not _is_hub_name(values, key) or value.startswith(("./", "../", "~/")) or Path(path).exists():
                located = put(located, key, path)
    return located


def get(values: Any, key: Key) -> Any:
    """The value at `key`, None where there is none."""
    for part in key:
        values = values.get(part) if isinstance(values, Mapping) else None
    return values


def put(values: Mapping[str, Any], key: Key, value: Any) -> dict[str, Any]:
    """`values` with `value` at `key`; the mappings on the way are copied, never changed."""
    first, *rest = key
    below = values.get(first, {})
    return {**values, first: put(below, tuple(rest), value) if rest else value}


def _is_hub_name(values: Mapping[str, Any], key: Key) -> bool:
    """Return True if the value may be a data set's name: the task reads data sets, and it has no file's ending."""
    if key != ("task", "path") or get(values, ("task", "name")) in _FILES_ALONE:
        return False
    return Path(str(get(values, key))).suffix not in _ENDINGS


def _paths(values: Mapping[str, Any]) -> Iterator[Key]:
    yield from _FILES
    prompts = values.get("prompts")
    if isinstance(prompts, str) and ("/" in prompts or prompts.startswith(".")):
        yield ("prompts",)
    models = values.get("models")
    names = [str(name) for name in models] if isinstance(models, Mapping) else []
    yield from (("models", name, key) for name in names for key in ("api_key_file", "adapter"))
    named: list[Key] = [("models", name, *key) for name in names for key in (("model",), ("speculative", "model"))]
    for key in [*named, ("playbook", "dedup", "model")]:
        if str(get(values, key)).startswith(("./", "../", "~/")):
            yield key
