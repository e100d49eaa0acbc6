"""Settings from a YAML file and `--set a.b=c` overrides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ace.config.relative_paths import Key, get, locate, put
from ace.config.run_settings import RunSettings
from ace.config.validation_errors import config_error
from ace.config.yaml_parser import YamlProblem, parse_yaml
from ace.errors import ConfigError

VERSION = 1
"""The version of the settings that this ace reads."""

MOST_CHARACTERS = 1_000_000
"""In one config file."""


def load_settings(
    path: str | Path | None = None, overrides: Sequence[str] = (), *, base: Mapping[str, Any] | None = None
) -> RunSettings:
    """Read `path` over `base`, then apply `overrides` (`a.b=c`, the value being YAML). Raises ConfigError.

    Relative paths in the file are relative to the file's folder, those in overrides to the working folder.
    """
    written = _read(Path(path)) if path is not None else {}
    values = merged(base or {}, written)
    overridden: list[Key] = []
    for override in overrides:
        key, value = _parse_override(override)
        values = _override(values, key, value)
        overridden.append(key)

    def folder_of(key: Key) -> Path | None:
        if any(key[: len(other)] == other for other in overridden):
            return Path.cwd()
        return Path(path).resolve().parent if path is not None and get(written, key) is not None else None

    return settings_from(locate(values, folder_of))


def settings_from(values: Mapping[str, Any]) -> RunSettings:
    """Check plain values. ConfigError has the facts of the first problem; the others are in its message."""
    version = values.get("version", VERSION)
    if version != VERSION or isinstance(version, bool):
        raise ConfigError.at(
            "version", version, str(VERSION), hint="this config was written for another version of ace"
        )
    try:
        return RunSettings.model_validate(dict(values))
    except ValidationError as error:
        raise config_error(error) from None


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            text = file.read(MOST_CHARACTERS + 1)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such config file", path=str(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}", path=str(path)) from error
    if len(text) > MOST_CHARACTERS:
        raise ConfigError(f"{path}: more than {MOST_CHARACTERS} characters; this is no config", path=str(path))
    try:
        loaded = parse_yaml(text)
    except YamlProblem as error:
        place = str(path) if error.line is None else f"{path}:{error.line}"
        raise ConfigError(f"{place}: not YAML: {error}", path=str(path), line=error.line) from error
    if loaded is None:
        raise ConfigError(f"{path}: the config is empty", path=str(path))
    if not isinstance(loaded, dict):
        raise ConfigError(f"{path}: a config is a mapping of keys, found {type(loaded).__name__}", path=str(path))
    return loaded


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Merge plain values: at any depth, those of `above` replace those of `below` with the same keys."""
    values = dict(below)
    for key, value in above.items():
        entry = values.get(key)
        values[key] = merged(entry, value) if isinstance(entry, Mapping) and isinstance(value, Mapping) else value
    return values


def _parse_override(override: str) -> tuple[Key, Any]:
    path, equals, text = override.partition("=")
    key = tuple(part.strip() for part in path.split("."))
    if not equals or not all(key):
        raise ConfigError.at("--set", override, "KEY=VALUE with a dotted key, such as adaptation.epochs=2")
    try:
        return key, parse_yaml(text)
    except YamlProblem as error:
        raise ConfigError.at(".".join(key), text, f"a YAML value; this is none: {error}") from error


def _override(values: dict[str, Any], key: Key, value: Any) -> dict[str, Any]:
    for size in range(1, len(key)):
        parent: Any = values if size == 1 else get(values, key[: size - 1])
        below = parent.get(key[size - 1], {})
        if not isinstance(below, Mapping):
            raise ConfigError.at(".".join(key[:size]), below, f"a mapping, so that {'.'.join(key)} can be set in it")
        values = put(values, key[:size], below)
    return put(values, key, value)
