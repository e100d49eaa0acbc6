"""Setting up: what pip is configured with on a machine reaches uv."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def environment() -> ModuleType:
    spec = importlib.util.spec_from_file_location("environment", ROOT / "scripts" / "environment.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import os

    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_", "SSL_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))


def test_settings_of_pip_reach_uv(environment: ModuleType) -> None:
    settings = {
        "index-url": "https://mirror.example/simple",
        "extra-index-url": "https://one.example/simple\nhttps://two.example/simple",
        "find-links": "/wheels /more",
        "cert": "/ca.pem",
    }
    told = environment.uv_environment(settings)
    assert told["UV_DEFAULT_INDEX"] == "https://mirror.example/simple"
    assert told["UV_INDEX"] == "https://one.example/simple https://two.example/simple"
    assert told["UV_INDEX_STRATEGY"] == "unsafe-best-match"
    assert told["UV_FIND_LINKS"] == "/wheels,/more"
    assert told["SSL_CERT_FILE"] == "/ca.pem"


def test_what_uv_was_told_already_stands(environment: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://mine.example/simple")
    assert environment.uv_environment({"index-url": "x"})["UV_DEFAULT_INDEX"] == "https://mine.example/simple"


@pytest.mark.skipif(
    subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode != 0, reason="no pip"
)
def test_the_environment_beats_the_file(
    environment: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "pip.conf").write_text("[global]\nfind-links = /file\nindex-url = https://file.example/simple\n")
    monkeypatch.setenv("PIP_FIND_LINKS", "/variable")
    settings = environment.pip_settings(Path(sys.executable))
    assert settings["find-links"] == "/variable"
    assert settings["index-url"] == "https://file.example/simple"


def test_a_cpu_torch_counts_if_it_fits_this_python(environment: ModuleType, tmp_path: Path) -> None:
    def has() -> bool:
        found: bool = environment.has_cpu_torch({"find-links": f"/nowhere {tmp_path}"})
        return found

    assert not has()
    (tmp_path / "torch-2.13.0+cpu-cp27-cp27-linux_x86_64.whl").touch()
    assert not has()
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
    (tmp_path / f"torch-2.13.0+cpu-{tag}-{tag}-manylinux_2_28_x86_64.whl").touch()
    assert has()


def test_no_file_names_a_registry() -> None:
    for path in [*(ROOT / "constraints").iterdir(), ROOT / "Makefile", ROOT / "scripts" / "environment.py"]:
        text = path.read_text()
        assert "http://" not in text and "https://" not in text, path
