"""Checks of Python source without running it."""

from __future__ import annotations

import ast
import threading
import warnings
from typing import Final, Literal

_LOCK: Final = threading.Lock()
"""`warnings.catch_warnings` must not be entered from two threads at once."""
_LONGEST: Final = 200_000


def parse_python(source: str, mode: Literal["exec", "eval"] = "exec") -> ast.AST | None:
    """The syntax tree of `source`, None where it is no Python. Warnings about it are dropped: it is not our code."""
    parsed = _parse(source, mode)
    return parsed if isinstance(parsed, ast.AST) else None


def syntax_error_line(source: str) -> int | None:
    """The line of `source` at which it stops being Python; None where it is Python, or no line is to blame."""
    parsed = _parse(source, "exec")
    return parsed.lineno if isinstance(parsed, SyntaxError) else None


def _parse(source: str, mode: str) -> ast.AST | Exception:
    if len(source) > _LONGEST:
        return ValueError("too long")
    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(source, mode=mode)
        except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
            return error
