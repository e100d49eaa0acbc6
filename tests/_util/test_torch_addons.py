"""Packages beside torch whose compiled part does not load are hidden from transformers and vLLM."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

IMPORT_FAILS = 'raise RuntimeError("operator torchvision::nms does not exist")\n'
REPORT = """
import json
from importlib.util import find_spec
from ace._util.torch_addons import LIBRARIES, describe_hidden_addons, hide_unusable_addons
{before}
hide_unusable_addons()
print(json.dumps([[name for name in LIBRARIES if find_spec(name) is None], describe_hidden_addons()]))
"""
ENGINE = """
from ace import LLMClient, Sampling
with LLMClient(provider="{provider}", model="micro-target") as client:
    (completion,) = client.generate(["ANSWER"], Sampling(max_tokens=4, temperature=0.0))
    print(client.info.reason)
"""


def run_beside(packages: Path, code: str) -> str:
    """The output of `code` in a process that finds the addons in `packages` first."""
    path = os.pathsep.join(filter(None, (str(packages), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def add_package(folder: Path, name: str, library: str | None) -> None:
    """A package with a compiled part that no torch can load, or with none."""
    (folder / name / "lib").mkdir(parents=True)
    (folder / name / "__init__.py").write_text(IMPORT_FAILS if library else "")
    if library:
        (folder / name / library).write_bytes(b"built for another torch")


@pytest.fixture
def unusable(tmp_path: Path) -> Path:
    add_package(tmp_path, "torchvision", "_C.so")
    add_package(tmp_path, "torchaudio", "lib/_torchaudio.abi3.so")
    add_package(tmp_path, "torchcodec", "libtorchcodec_core8.so")
    return tmp_path


def test_what_does_not_load_is_hidden_and_named(unusable: Path) -> None:
    pytest.importorskip("torch")
    hidden, words = json.loads(run_beside(unusable, REPORT.format(before="")))
    assert hidden == ["torchvision", "torchaudio", "torchcodec"]
    assert words == "without torchvision, torchaudio, torchcodec, which were built for another torch"


def test_a_package_that_loads_or_was_imported_is_left_alone(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    for name in ("torchvision", "torchaudio", "torchcodec"):
        add_package(tmp_path, name, None)
    (tmp_path / "torchaudio" / "lib" / "_torchaudio.so").write_bytes(b"built for another torch")
    hidden, words = json.loads(run_beside(tmp_path, REPORT.format(before="import torchaudio")))
    assert (hidden, words) == ([], "")


@pytest.mark.engine
@pytest.mark.parametrize("provider", ["vllm", "huggingface"])
def test_engines_start_beside_unusable_addons(provider: str, unusable: Path) -> None:
    reason = run_beside(unusable, ENGINE.format(provider=provider))
    assert "without torchvision" in reason
