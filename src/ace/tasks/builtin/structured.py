"""Answers that are JSON, with a schema or without one."""

from __future__ import annotations

import ast
import contextlib
import json
import re
from collections.abc import Mapping
from typing import Any

from ace._util.python_source import parse_python
from ace.config import FieldSettings, TaskSettings
from ace.errors import ConfigError
from ace.tasks.data.data_kind import Kind, in_words
from ace.tasks.data.record_files import Fields, needs_data_extra
from ace.types import Observation, Sample, Score


class Structured(Kind):
    """The answer is compared with the target as JSON values: the order of keys and the white space do not matter.

    Of two objects that differ the score is the share of keys, of both together, that hold the same. `answer_schema`
    (JSON Schema, draft 2020-12) guides the engine, and what breaks it is observed without a label.
    """

    def __init__(self, settings: TaskSettings) -> None:
        self._schema = settings.answer_schema
        self._validator = _validator(self._schema) if self._schema else None

    def sample(self, fields: FieldSettings, record: Fields, default_id: str) -> Sample:
        question = record.required(fields.question, "every sample needs a question")
        value = record.value(fields.target)
        if isinstance(value, str):
            value = _decoded(value)
            if value is _BROKEN:
                raise record.error(fields.target, "found text that is no JSON, allowed: a JSON value, or its text")
        if value is None:
            raise record.error(fields.target, "missing: every sample needs a target to be graded by")
        if self._validator is not None and (problems := _problems(self._validator, value)):
            raise record.error(fields.target, f"breaks task.answer_schema: {problems[0]}")
        context = record.text(fields.context) if fields.context != fields.question else None
        target = json.dumps(value, ensure_ascii=False)
        return Sample((record.text(fields.id) or default_id).strip(), question, target, context or "")

    def grade(self, sample: Sample, target: str, answer: str) -> Score:
        expected, actual = json.loads(target), _answered(answer)
        if actual is _BROKEN:
            return Score(0.0, False, f"the answer is no JSON; expected: {target}")
        value = _likeness(expected, actual)
        correct = value == 1.0
        return Score(value, correct, "correct" if correct else f"wrong; expected: {target}")

    def observe(self, sample: Sample, answer: str) -> Observation:
        parsed = _answered(answer)
        if parsed is _BROKEN:
            return in_words([f"{answer[:200]!r} is no JSON"])
        return in_words(_problems(self._validator, parsed) if self._validator is not None else [])

    def same(self, sample: Sample, one: str, other: str) -> bool:
        first, second = _answered(one), _answered(other)
        return first is not _BROKEN and second is not _BROKEN and _same(first, second)

    def answer_schema(self, sample: Sample) -> Mapping[str, Any] | None:
        return self._schema or None


_BROKEN = object()
_FENCED = re.compile(r"```[^\n`]*\n(.*?)\n?\s*```", re.DOTALL)


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return _BROKEN


def _answered(answer: str) -> Any:
    """The JSON value in an answer: all of it, the inside of a fence, a literal of Python, or the first whole object."""
    fenced = _FENCED.search(answer)
    body = fenced.group(1) if fenced else answer
    for text in (answer, body):
        if (value := _decoded(text)) is not _BROKEN:
            return value
    if (tree := parse_python(body.strip(), "eval")) is not None:
        with contextlib.suppress(ValueError, TypeError, MemoryError, RecursionError):
            return json.loads(json.dumps(ast.literal_eval(tree)))
    start = re.search(r"[{\[]", body)
    with contextlib.suppress(ValueError, RecursionError):
        return json.JSONDecoder().raw_decode(body, start.start())[0] if start else _BROKEN
    return _BROKEN


def _likeness(expected: Any, actual: Any) -> float:
    if _same(expected, actual):
        return 1.0
    if not isinstance(expected, dict) or not isinstance(actual, dict):
        return 0.0
    keys = expected.keys() | actual.keys()
    return sum(key in expected and key in actual and _same(expected[key], actual[key]) for key in keys) / len(keys)


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON values: 1 is 1.0, true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def _validator(schema: Mapping[str, Any]) -> Any:
    try:
        import jsonschema
        from jsonschema_specifications import REGISTRY
    except ImportError as error:
        raise needs_data_extra("answer schemas", "jsonschema") from error
    if '"$ref"' in json.dumps(schema):
        raise ConfigError.at(
            "task.answer_schema", dict(schema), "a schema without $ref: it becomes part of a larger one"
        )
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        raise ConfigError.at("task.answer_schema", dict(schema), f"a JSON schema: {error.message}") from error
    return jsonschema.Draft202012Validator(schema, registry=REGISTRY)  # which fetches nothing


def _problems(validator: Any, value: Any) -> list[str]:
    errors = sorted(validator.iter_errors(value), key=lambda error: list(map(str, error.absolute_path)))
    return [f"{'.'.join(map(str, error.absolute_path)) or 'answer'}: {error.message}" for error in errors]
