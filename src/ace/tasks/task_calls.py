"""Calls of a task's own functions, which may be anybody's code."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from ace.errors import AceError, TaskError


@contextmanager
def naming_sample(call: str, sample: str) -> Iterator[None]:
    """Turn whatever the task's function `call` raises into a TaskError that names the sample and the line."""
    try:
        yield
    except AceError:
        raise
    except Exception as error:  # it is the user's code, which may raise anything
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{place.filename}:{place.lineno}: {place.line}"
        message = f"{call}() of the task failed for sample {sample!r}: {type(error).__name__}: {error} ({where})"
        raise TaskError(message, sample=sample, call=call) from error
