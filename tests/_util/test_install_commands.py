"""The commands that hints, `ace doctor` and the documentation give to install an extra."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ace._util.install_commands import Installer, TorchBuild, install_command

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", ROOT / "configs" / "vllm" / "README.md")
CPU = "--extra-index-url https://download.pytorch.org/whl/cpu"


@pytest.mark.parametrize(
    ("installer", "command"),
    [
        ("pip", f"pip install 'ace-vllm[cpu]' {CPU}"),
        ("uv", "uv pip install 'ace-vllm[cpu]' --torch-backend cpu"),
        ("uv tool", "uv tool install 'ace-vllm[cpu]' --torch-backend cpu"),
        ("pipx", f"pipx install --force 'ace-vllm[cpu]' --pip-args='{CPU}'"),
        ("pipx with uv", "pipx install --force 'ace-vllm[cpu]' --pip-args='--torch-backend cpu'"),
    ],
)
def test_the_command_is_that_of_the_tool_with_its_index(installer: Installer, command: str) -> None:
    assert install_command("cpu", torch="cpu", installer=installer) == command


def test_an_extra_without_torch_needs_no_index() -> None:
    assert install_command("plots", installer="pip") == "pip install 'ace-vllm[plots]'"
    assert install_command("plots", installer="pipx") == "pipx install --force 'ace-vllm[plots]'"


def test_a_gpu_gets_the_cuda_build() -> None:
    assert install_command("vllm", torch="cuda", installer="pip").endswith("/whl/cu130")
    assert install_command("vllm", torch="cuda", installer="uv").endswith("--torch-backend auto")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_pages_give_the_same_commands(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    shown = {line.partition("   #")[0].strip() for line in re.findall(r"^(?:\$ )?(.*install 'ace-vllm.*)$", text, re.M)}
    builds: tuple[tuple[str, TorchBuild], ...] = (("cpu", "cpu"), ("vllm", "cuda"))
    for extra, torch in builds:
        assert install_command(extra, torch=torch, installer="pip") in shown
        assert install_command(extra, torch=torch, installer="uv") in shown
