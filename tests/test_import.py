"""`import ace` and `ace --help` are quick, load nothing heavy, and the public surface is the listed one."""

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
REPORT = """
import sys, time, json
begin = time.perf_counter()
{code}
print(json.dumps([time.perf_counter() - begin, sorted({{name.split('.')[0] for name in sys.modules}})]))
"""


def _loaded(code: str) -> tuple[float, set[str]]:
    """The seconds that `code` takes in a new process, and the packages that it loads; the best of three."""
    runs = []
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", REPORT.format(code=code)], check=True, capture_output=True, text=True
        )
        seconds, modules = json.loads(done.stdout.splitlines()[-1])
        runs.append((seconds, set(modules)))
    return min(runs, key=lambda run: run[0])


def test_the_public_surface_is_the_listed_one() -> None:
    assert ace.__all__ == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(ace, name) is not None
    assert name in dir(ace)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Playbok"):
        _ = ace.Playbok


def test_import_ace_is_quick_and_light() -> None:
    seconds, modules = _loaded("import ace")
    assert not modules & (HEAVY | {"pydantic", "typer", "rich"})
    assert seconds < 0.2


def test_help_is_quick_and_light() -> None:
    seconds, modules = _loaded(
        "import contextlib\nfrom ace.cli.main import app\nwith contextlib.suppress(SystemExit): app(['--help'])"
    )
    assert not modules & HEAVY
    assert seconds < 0.5
