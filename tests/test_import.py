"""`import ace` and `ace --help` load nothing heavy, and the public surface is the listed one."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import ace

PUBLIC = [
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
HEAVY = {"torch", "vllm", "transformers", "ray", "openai", "numpy", "sqlalchemy"}
LIST_PACKAGES = "import json, sys; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"


def _loaded(code: str) -> set[str]:
    """The packages that a new process has loaded after `code`."""
    program = f"{code}\n{LIST_PACKAGES}"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_public_surface_is_the_listed_one() -> None:
    assert ace.__all__ == PUBLIC


def test_every_public_name_is_there() -> None:
    assert [name for name in PUBLIC if getattr(ace, name, None) is None] == []
    assert set(PUBLIC) <= set(dir(ace))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Playbok"):
        _ = ace.Playbok


def test_import_ace_is_light() -> None:
    assert not _loaded("import ace") & (HEAVY | {"pydantic", "typer", "rich"})


def test_help_is_light() -> None:
    help_alone = (
        "import contextlib\nfrom ace.cli.main import app\nwith contextlib.suppress(SystemExit): app(['--help'])"
    )
    assert not _loaded(help_alone) & HEAVY
