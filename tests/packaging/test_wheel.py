"""The built wheel in a clean environment: what is in it, that the command works, that the examples run."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ("own_task_csv.py", "own_task_python.py", "llm_client.py", "compare_runs.py")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(shutil.which("uv", path=str(Path(sys.executable).parent)) is None, reason="uv is not installed"),
]


@dataclass(frozen=True)
class CleanEnvironment:
    """A virtual environment with the wheel and its required packages alone."""

    wheel: Path
    folder: Path

    def run(self, program: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
        command = [str(self.folder / "bin" / program), *arguments]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> CleanEnvironment:
    """Build the wheel and install it, from the index that pip is configured with."""
    setup = _setup_script()
    environment = setup.uv_environment(setup.pip_settings(Path(sys.executable)))
    folder = tmp_path_factory.mktemp("wheel")
    _uv(["build", "--quiet", "--wheel", "--out-dir", str(folder), str(ROOT)], environment)
    (wheel,) = folder.glob("ace_vllm-*.whl")
    venv = folder / "venv"
    _uv(["venv", "--quiet", "--python", sys.executable, str(venv)], environment)
    constraints = ["--constraints", str(ROOT / "constraints" / "cpu.txt")]
    _uv(["pip", "install", "--quiet", "--python", str(venv / "bin" / "python"), *constraints, str(wheel)], environment)
    return CleanEnvironment(wheel, venv)


def _setup_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("environment", ROOT / "scripts" / "environment.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _uv(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    uv = Path(sys.executable).parent / "uv"
    done = subprocess.run([str(uv), *arguments], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_the_wheel_has_what_users_run_and_nothing_else(installed: CleanEnvironment) -> None:
    names = zipfile.ZipFile(installed.wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"ace"}
    assert "ace/py.typed" in names
    assert "ace/prompts/packs/standard/generator.txt" in names
    assert "ace/tasks/micro/models/target/model.safetensors" in names
    assert not [name for name in names if "training" in name or name.endswith((".pyc", ".db"))]


def test_the_command_starts(installed: CleanEnvironment, tmp_path: Path) -> None:
    done = installed.run("ace", "--help", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "quickstart" in done.stdout


def test_the_doctor_names_the_command_that_installs_an_engine(installed: CleanEnvironment, tmp_path: Path) -> None:
    done = installed.run("ace", "doctor", folder=tmp_path)
    assert done.returncode == 3
    assert "no inference engine is installed" in done.stderr
    assert "uv pip install 'ace-vllm[" in done.stdout
    assert "--torch-backend" in done.stdout


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs_on_the_required_packages(name: str, installed: CleanEnvironment, tmp_path: Path) -> None:
    done = installed.run("python", str(ROOT / "examples" / name), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
