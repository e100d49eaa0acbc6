"""ACE (Agentic Context Engineering, arXiv 2510.04618) at engine speed.

The names below are the public surface. Each is loaded when it is first used, so that `import ace` costs almost nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ace.api import Result, aadapt, adapt, aevaluate, evaluate
    from ace.config import RunSettings, load_settings, settings_from
    from ace.engine import Event, Listener, RunSummary, run
    from ace.errors import (
        AceError,
        BudgetReachedError,
        ConfigError,
        DataError,
        EngineDeadError,
        InferenceError,
        InterruptedRunError,
        ModelNotFoundError,
        ParseError,
        PlaybookError,
        PlaybookFormatError,
        PromptPackError,
        PromptTooLongError,
        ProviderMissingError,
        ProviderStartError,
        RequestQuarantinedError,
        RequestRejectedError,
        RunLockedError,
        RunNotFoundError,
        RunNotRunningError,
        SandboxError,
        StoreError,
        StoreVersionError,
        TaskError,
        TransientError,
    )
    from ace.inference import Backend, LLMClient, ScriptedBackend, create_backend
    from ace.playbook import Bullet, Delta, Playbook, apply, read_playbook, write_playbook
    from ace.store import RunStore
    from ace.tasks import Splits, Task
    from ace.types import Completion, Message, Observation, Request, Sample, Sampling, Score, Usage

__all__ = [
    "AceError",
    "Backend",
    "BudgetReachedError",
    "Bullet",
    "Completion",
    "ConfigError",
    "DataError",
    "Delta",
    "EngineDeadError",
    "Event",
    "InferenceError",
    "InterruptedRunError",
    "LLMClient",
    "Listener",
    "Message",
    "ModelNotFoundError",
    "Observation",
    "ParseError",
    "Playbook",
    "PlaybookError",
    "PlaybookFormatError",
    "PromptPackError",
    "PromptTooLongError",
    "ProviderMissingError",
    "ProviderStartError",
    "Request",
    "RequestQuarantinedError",
    "RequestRejectedError",
    "Result",
    "RunLockedError",
    "RunNotFoundError",
    "RunNotRunningError",
    "RunSettings",
    "RunStore",
    "RunSummary",
    "Sample",
    "Sampling",
    "SandboxError",
    "Score",
    "ScriptedBackend",
    "Splits",
    "StoreError",
    "StoreVersionError",
    "Task",
    "TaskError",
    "TransientError",
    "Usage",
    "__version__",
    "aadapt",
    "adapt",
    "aevaluate",
    "apply",
    "create_backend",
    "evaluate",
    "load_settings",
    "read_playbook",
    "run",
    "settings_from",
    "write_playbook",
]

_ROOMS = {
    "ace.api": (
        "Result",
        "aadapt",
        "adapt",
        "aevaluate",
        "evaluate",
    ),
    "ace.config": (
        "RunSettings",
        "load_settings",
        "settings_from",
    ),
    "ace.engine": (
        "Event",
        "Listener",
        "RunSummary",
        "run",
    ),
    "ace.errors": (
        "AceError",
        "BudgetReachedError",
        "ConfigError",
        "DataError",
        "EngineDeadError",
        "InferenceError",
        "InterruptedRunError",
        "ModelNotFoundError",
        "ParseError",
        "PlaybookError",
        "PlaybookFormatError",
        "PromptPackError",
        "PromptTooLongError",
        "ProviderMissingError",
        "ProviderStartError",
        "RequestQuarantinedError",
        "RequestRejectedError",
        "RunLockedError",
        "RunNotFoundError",
        "RunNotRunningError",
        "SandboxError",
        "StoreError",
        "StoreVersionError",
        "TaskError",
        "TransientError",
    ),
    "ace.inference": (
        "Backend",
        "LLMClient",
        "ScriptedBackend",
        "create_backend",
    ),
    "ace.playbook": (
        "Bullet",
        "Delta",
        "Playbook",
        "apply",
        "read_playbook",
        "write_playbook",
    ),
    "ace.store": ("RunStore",),
    "ace.tasks": (
        "Splits",
        "Task",
    ),
    "ace.types": (
        "Completion",
        "Message",
        "Observation",
        "Request",
        "Sample",
        "Sampling",
        "Score",
        "Usage",
    ),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            value: Any = version("ace-vllm")
        except PackageNotFoundError:  # a source tree that is not installed
            value = "unknown"
    elif name in _ROOM_OF:
        value = getattr(import_module(_ROOM_OF[name]), name)
    else:
        raise AttributeError(f"module 'ace' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
