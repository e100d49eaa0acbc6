"""The commands that install an extra of ace, for the tool that installed ace."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Literal

Installer = Literal["pip", "uv", "uv tool", "pipx", "pipx with uv"]
TorchBuild = Literal["cpu", "cuda"]

_PYTORCH_INDEX = "https://download.pytorch.org/whl/"
_INDEX_NAMES = {"cpu": "cpu", "cuda": "cu130"}
_UV_BACKENDS = {"cpu": "cpu", "cuda": "auto"}


def install_command(extra: str, *, torch: TorchBuild | None = None, installer: Installer | None = None) -> str:
    """The whole command that adds `extra`; with `torch`, also the index that has this build of torch.

    `installer` is the tool that installed ace, unless another one is named.
    """
    installer = installer or current_installer()
    package = f"'ace-vllm[{extra}]'"
    index = f"--extra-index-url {_PYTORCH_INDEX}{_INDEX_NAMES[torch]}" if torch else ""
    backend = f"--torch-backend {_UV_BACKENDS[torch]}" if torch else ""
    words = {
        "pip": ("pip install", package, index),
        "uv": ("uv pip install", package, backend),
        "uv tool": ("uv tool install", package, backend),
        "pipx": ("pipx install --force", package, f"--pip-args='{index}'" if index else ""),
        "pipx with uv": ("pipx install --force", package, f"--pip-args='{backend}'" if backend else ""),
    }[installer]
    return " ".join(filter(None, words))


def current_installer() -> Installer:
    """The tool that installed ace into this environment; pip where nothing says so."""
    prefix = Path(sys.prefix)
    if (prefix / "uv-receipt.toml").is_file():
        return "uv tool"
    uv = _installed_by_uv()
    if (prefix / "pipx_metadata.json").is_file():
        return "pipx with uv" if uv else "pipx"
    return "uv" if uv else "pip"


def _installed_by_uv() -> bool:
    try:
        return (distribution("ace-vllm").read_text("INSTALLER") or "").strip() == "uv"
    except PackageNotFoundError:
        return False
