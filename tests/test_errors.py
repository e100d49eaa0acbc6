"""The error tree: as it is drawn, picklable, and with an exit code for each."""

from __future__ import annotations

import inspect
import pickle
import re

import ace
from ace import errors
from ace.errors import AceError, ConfigError

ALL = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, AceError)]


def test_the_tree_in_the_docstring_is_the_real_one() -> None:
    drawn: list[tuple[str, str | None]] = []
    above: dict[int, str] = {}
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"^    ((?:\|   |    )*)(\+-- )?(\w+Error)\b", line)
        if match:
            depth = len(match.group(1)) // 4 + bool(match.group(2))
            above[depth] = match.group(3)
            drawn.append((match.group(3), above.get(depth - 1)))
    real = {kind.__name__: kind.__base__.__name__ if kind is not AceError else None for kind in ALL if kind.__base__}
    assert dict(drawn) == real


def test_every_error_is_public() -> None:
    assert {kind.__name__ for kind in ALL} <= set(ace.__all__)


def test_every_error_survives_pickling() -> None:
    for kind in ALL:
        error = pickle.loads(pickle.dumps(kind("what happened", hint="do this", key="a.b", line=3)))
        assert type(error) is kind
        assert str(error) == "what happened (do this)"
        assert (error.message, error.hint, error.facts) == ("what happened", "do this", {"key": "a.b", "line": 3})
        assert (error.retryable, error.exit_code) == (kind.retryable, kind.exit_code)


def test_a_config_error_names_key_value_and_what_is_allowed() -> None:
    error = pickle.loads(pickle.dumps(ConfigError.at("a.b", 3, "1 or 2", nearest="a.c", hint="see docs")))
    assert str(error) == "a.b: found 3, allowed: 1 or 2; did you mean 'a.c'? (see docs)"
    assert error.facts == {"key": "a.b", "found": 3, "allowed": "1 or 2", "nearest": "a.c"}


def test_exit_codes_are_the_documented_ones() -> None:
    others = {errors.InterruptedRunError: 130, errors.BudgetReachedError: 5}
    for kind in ALL:
        assert kind.exit_code == (3 if issubclass(kind, errors.InferenceError) else others.get(kind, 2)), kind
