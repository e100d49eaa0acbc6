"""Conversations of other packages as a question, and their errors as ours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from ace._util.extras import missing_package
from ace._util.install_commands import install_command
from ace.config import TaskSettings
from ace.errors import AceError, ConfigError, DataError
from ace.types import Score

Loaded = TypeVar("Loaded")
Turn = tuple[str, str]
"""Role and text of a message."""


def load_external(settings: TaskSettings, package: str, load: Callable[[str], Loaded]) -> Loaded:
    """Load `task.path` by `load`.

    ProviderMissingError without the package, ConfigError where there is no path or `load` raises.
    """
    if settings.path is None:
        raise ConfigError.at("task.path", None, "the name of what task.name says")
    try:
        return load(settings.path)
    except AceError:
        raise
    except ModuleNotFoundError as error:
        if error.name == package:
            command = install_command(settings.name)
            needs = f"task '{settings.name}' needs"
            raise missing_package(needs, package, provider=settings.name, command=command) from error
        raise ConfigError(f"task.path: {settings.path!r} cannot be loaded: {error}", key="task.path") from error
    except Exception as error:  # it is somebody else's code, which may raise anything
        raise ConfigError(f"task.path: {settings.path!r} cannot be loaded: {error!r}", key="task.path") from error


def run_coroutine(work: Coroutine[Any, Any, Loaded]) -> Loaded:
    """Run `work` to its end in a thread of its own: tasks are loaded where an event loop runs already."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(asyncio.run, work).result()


def text_of(content: Any, source: str) -> str:
    """The text of a message's content. DataError for a part that is none, such as an image."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    parts = []
    for part in content:
        text = part.get("text") if isinstance(part, Mapping) else getattr(part, "text", None)
        if not isinstance(text, str):
            raise DataError(f"{source}: a message has a part that is no text, allowed: texts")
        parts.append(text)
    return "\n".join(parts)


def shared_instructions(prompts: Sequence[Sequence[Turn]]) -> str:
    """The system messages at the head of all prompts, where they are the same; "" otherwise."""
    systems = {tuple(text for role, text in prompt if role == "system") for prompt in prompts}
    return "\n\n".join(systems.pop()) if len(systems) == 1 else ""


def as_question(messages: Iterable[Turn], instructions: str) -> str:
    """Join the messages into one text, without those of the instructions; roles are named where there are several."""
    rest = [(role, text) for role, text in messages if not (role == "system" and text and text in instructions)]
    if len(rest) == 1:
        return rest[0][1]
    return "\n\n".join(f"{role}:\n{text}" for role, text in rest)


def as_score(value: float, threshold: float, target: str | None, detail: str = "") -> Score:
    """A grade of `value`, cut to [0, 1], which is right from `threshold` on."""
    cut = min(1.0, max(0.0, value))
    correct = cut >= threshold
    verdict = "right" if correct else "wrong" if not target else f"wrong: expected {target}"
    return Score(cut, correct, f"{verdict}; {detail}" if detail else verdict)
