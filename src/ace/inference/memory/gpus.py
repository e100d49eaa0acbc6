"""The GPUs of this machine by the driver's own tool, without loading a framework."""

from __future__ import annotations

import os
import shutil
import subprocess


def visible_gpus() -> tuple[str, ...]:
    """The GPUs that CUDA_VISIBLE_DEVICES lists, or else all by number. Empty where the tool does not say."""
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if listed is not None:
        return tuple(name.strip() for name in listed.split(",") if name.strip())
    return tuple(_query("index"))


def gpu_names() -> tuple[str, ...]:
    """Products, such as `NVIDIA H100 80GB HBM3`. Empty where the tool does not say."""
    return tuple(_query("name"))


def gpu_bytes() -> int | None:
    """Memory of the smallest one; None where the tool does not say."""
    sizes = [int(line) for line in _query("memory.total") if line.isdecimal()]
    return min(sizes) << 20 if sizes else None


def _query(fact: str) -> list[str]:
    """A line for each GPU. Nothing where there is no tool, or it fails."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    command = [tool, f"--query-gpu={fact}", "--format=csv,noheader,nounits"]
    try:
        output = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in output.splitlines() if line.strip()]
