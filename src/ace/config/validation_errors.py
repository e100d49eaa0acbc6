"""Pydantic's errors as a ConfigError: the key, the value, what is allowed, and the nearest key."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from ace._util.masking import names_a_secret
from ace.config.run_settings import RunSettings
from ace.config.strict_model import HIDDEN
from ace.errors import ConfigError


def config_error(error: ValidationError) -> ConfigError:
    """The first problem, with its facts; its message lists further ones."""
    problems: dict[str, ConfigError] = {}
    for detail in error.errors(include_url=False):
        problem = _problem(detail)
        key = str(problem.facts["key"])
        problems[key] = _either(problems[key], problem) if key in problems else problem
    first, *others = problems.values()
    more = "".join(f"\n{problem.message}" for problem in others)
    return ConfigError(first.message + more, hint=first.hint, **first.facts)


def _either(one: ConfigError, other: ConfigError) -> ConfigError:
    """Two problems with the same value: it fits none of the branches of a union."""
    facts = one.facts
    allowed = f"{facts['allowed']} or {other.facts['allowed']}"
    return ConfigError.at(facts["key"], facts["found"], allowed, nearest=facts["nearest"] or other.facts["nearest"])


def _problem(detail: Any) -> ConfigError:
    path = _path(detail["loc"])
    kind, value, context = detail["type"], detail.get("input"), detail.get("ctx", {})
    key = _dotted(path)
    if names_a_secret(key):
        value = HIDDEN if isinstance(value, str) else value
    if kind == "extra_forbidden":
        parent = _dotted(path[:-1])
        allowed = f"no such key; {parent or 'a config'} has {', '.join(_keys(path[:-1]))}"
        return ConfigError.at(key, value, allowed, nearest=_nearest_key(path))
    if kind == "missing":
        message = f"{key}: missing, and it has no default; allowed: {_describe(path)}"
        return ConfigError(message, key=key, found=None, allowed=_describe(path), nearest=None)
    if kind == "refused":
        key = _dotted([*path, *filter(None, [context["key"]])])
        return ConfigError.at(key, context["found"], context["allowed"], nearest=context["nearest"])
    if kind == "literal_error":
        return ConfigError.at(key, value, context["expected"], nearest=_close(str(value), _literals(path)))
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return ConfigError.at(key, value, _describe(path))
    return ConfigError.at(key, value, detail["msg"].replace("Input should be ", ""))


def _dotted(path: Iterable[str | int]) -> str:
    return ".".join(map(str, path))


def _close(word: str, words: Iterable[str], *, cutoff: float = 0.5) -> str | None:
    return next(iter(difflib.get_close_matches(word, list(words), n=1, cutoff=cutoff)), None)


def _nearest_key(path: Sequence[str | int]) -> str | None:
    """A key of the same mapping that is almost the same word, else one of that name anywhere, else a similar one."""
    last = str(path[-1])
    here = _keys(path[:-1])
    if near := _close(last, here, cutoff=0.8):
        return _dotted([*path[:-1], near])
    if elsewhere := next((key for key in _all_keys(RunSettings) if key.rpartition(".")[2] == last), None):
        return elsewhere
    near = _close(last, here)
    return _dotted([*path[:-1], near]) if near else None


def _all_keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield prefix + name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _all_keys(field.annotation, f"{prefix}{name}.")


def _path(loc: Sequence[str | int]) -> list[str | int]:
    """The location without the names that pydantic gives to the branches of a union."""
    path: list[str | int] = []
    for part in loc:
        if path and _model_at(path) is None and _annotation_at(path) is not None and not _is_container(path):
            continue
        path.append(part)
    return path


def _annotation_at(path: Sequence[str | int]) -> Any:
    """The annotation of the field at `path`, None where there is no such field."""
    annotation: Any = RunSettings
    for part in path:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            field = annotation.model_fields.get(str(part))
            annotation = _without_none(field.annotation) if field else None
        elif get_origin(annotation) is dict:
            annotation = get_args(annotation)[1]
        elif get_origin(annotation) is tuple:
            annotation = get_args(annotation)[0]
        else:
            return None
    return annotation


def _without_none(annotation: Any) -> Any:
    """The model of an optional one, so that a path leads into it; any other annotation as it is."""
    if get_origin(annotation) not in (Union, UnionType):
        return annotation
    branches = [branch for branch in get_args(annotation) if branch is not NoneType]
    only = branches[0] if len(branches) == 1 else None
    return only if isinstance(only, type) and issubclass(only, BaseModel) else annotation


def _is_mapping(path: Sequence[str | int]) -> bool:
    return get_origin(_annotation_at(path)) is dict


def _is_container(path: Sequence[str | int]) -> bool:
    return get_origin(_annotation_at(path)) in (dict, tuple)


def _model_at(path: Sequence[str | int]) -> type[BaseModel] | None:
    annotation = _annotation_at(path)
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _keys(path: Sequence[str | int]) -> list[str]:
    model = _model_at(path)
    return list(model.model_fields) if model else []


def _literals(path: Sequence[str | int]) -> list[str]:
    annotation = _annotation_at(path)
    branches = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    return [str(value) for branch in branches if get_origin(branch) is Literal for value in get_args(branch)]


def _describe(path: Sequence[str | int]) -> str:
    """Describe the values allowed at `path`, for one that is missing or of the wrong kind."""
    if keys := _keys(path):
        return f"a mapping with keys of {', '.join(keys)}"
    if literals := _literals(path):
        return ", ".join(map(repr, literals))
    if _is_mapping(path):
        return "a mapping"
    return getattr(_annotation_at(path), "__name__", "a value")
