"""Settings from a YAML file and `--set a.b=c` overrides, with errors that say where, what, and what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from ace.config.settings import RunSettings
from ace.errors import ConfigError

VERSION = 1
"""The version of the settings that this ace reads."""


def load_settings(
    path: str | Path | None = None, overrides: Sequence[str] = (), *, base: Mapping[str, Any] | None = None
) -> RunSettings:
    """Read `path` over `base`, then apply `overrides` (`a.b=c`, the value being YAML). Raises ConfigError.

    Relative paths in the file are relative to the file's folder.
    """
    values: dict[str, Any] = _merge({}, base or {})
    if path is not None:
        values = _merge(values, _read(Path(path)))
    for override in overrides:
        _override(values, override)
    settings = settings_from(values)
    return settings.resolved(Path(path).resolve().parent) if path is not None else settings


def settings_from(values: Mapping[str, Any]) -> RunSettings:
    """Check plain values. ConfigError names the first wrong key; the others are in its message."""
    version = values.get("version", VERSION)
    if version != VERSION:
        raise ConfigError.at(
            "version", version, str(VERSION), hint="this config was written for another version of ace"
        )
    try:
        return RunSettings.model_validate(dict(values))
    except ValidationError as error:
        raise _first(error) from None


def _read(path: Path) -> dict[str, Any]:
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such config file", path=str(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}", path=str(path)) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else None
        problem = getattr(error, "problem", None) or str(error)
        raise ConfigError(f"{path}:{line}: not YAML: {problem}", path=str(path), line=line) from error
    if loaded is None:
        raise ConfigError(f"{path}: the config is empty", path=str(path))
    if not isinstance(loaded, dict):
        raise ConfigError(f"{path}: a config is a mapping of keys, found {type(loaded).__name__}", path=str(path))
    return loaded


def _merge(into: dict[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(into)
    for key, value in other.items():
        held = merged.get(key)
        merged[key] = _merge(held, value) if isinstance(held, dict) and isinstance(value, Mapping) else value
    return merged


def _override(values: dict[str, Any], override: str) -> None:
    path, equals, text = override.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys):
        raise ConfigError.at("--set", override, "KEY=VALUE with a dotted key, such as adaptation.epochs=2")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError.at(path, text, "a YAML value") from error
    here = values
    for position, key in enumerate(keys[:-1]):
        below = here.setdefault(key, {})
        if not isinstance(below, dict):
            raise ConfigError.at(".".join(keys[: position + 1]), below, f"a mapping, to set {path} in it")
        here[key] = here = dict(below)
    here[keys[-1]] = value


def _first(error: ValidationError) -> ConfigError:
    """The first problem as a ConfigError; further ones are told in its message."""
    problems = [_problem(detail) for detail in error.errors(include_url=False)]
    first, others = problems[0], problems[1:]
    if others:
        more = "".join(f"\n  {problem.message}" for problem in others)
        return ConfigError(first.message + more, hint=first.hint, **first.facts)
    return first


def _problem(detail: Any) -> ConfigError:
    path = _path(detail["loc"])
    key = ".".join(str(part) for part in path)
    kind, found = detail["type"], detail.get("input")
    if kind == "extra_forbidden":
        parent = _model_at(path[:-1])
        valid = list(parent.model_fields) if parent else []
        near = difflib.get_close_matches(str(path[-1]), valid, n=1, cutoff=0.5)
        prefix = ".".join(str(part) for part in path[:-1])
        nearest = ".".join(filter(None, (prefix, near[0]))) if near else None
        return ConfigError.at(
            key, found, f"no such key; {prefix or 'a config'} has {', '.join(valid)}", nearest=nearest
        )
    if kind == "missing":
        return ConfigError(f"{key}: missing, and it has no default", key=key)
    if kind == "value_error":
        text = str(detail["ctx"]["error"])
        return ConfigError(f"{key}: {text}" if key else text, key=key)
    if kind == "literal_error":
        near = difflib.get_close_matches(str(found), _literals(path), n=1, cutoff=0.5)
        return ConfigError.at(key, found, detail["ctx"]["expected"], nearest=near[0] if near else None)
    return ConfigError.at(key, found, detail["msg"].replace("Input should be ", ""))


def _path(loc: Sequence[str | int]) -> list[str | int]:
    """The location without the names that pydantic gives to the branches of a union."""
    path: list[str | int] = []
    for part in loc:
        parent = _model_at(path)
        if path and parent is None and _annotation_at(path) is not None and not _is_mapping(path):
            continue
        path.append(part)
    return path


def _is_mapping(path: Sequence[str | int]) -> bool:
    return get_origin(_annotation_at(path)) is dict


def _annotation_at(path: Sequence[str | int]) -> Any:
    """The annotation of the field at `path`, None where there is no such field."""
    annotation: Any = RunSettings
    for part in path:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            field = annotation.model_fields.get(str(part))
            annotation = field.annotation if field else None
        elif get_origin(annotation) is dict:
            annotation = get_args(annotation)[1]
        else:
            return None
    return annotation


def _model_at(path: Sequence[str | int]) -> type[BaseModel] | None:
    annotation = _annotation_at(path)
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _literals(path: Sequence[str | int]) -> list[str]:
    annotation = _annotation_at(path)
    branches = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    return [str(value) for branch in branches if get_origin(branch) is Literal for value in get_args(branch)]
