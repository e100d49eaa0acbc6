"""Shared by all tests: what an environment lacks is skipped, never failed. Rooms keep their fixtures with them."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

os.environ["ACE_WARM"] = "0"  # a warm engine of whoever runs the tests has nothing to do with them


def _has_gpu() -> bool:
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None


def _missing() -> dict[str, str]:
    """Markers whose tests cannot run here, and why."""
    missing = {}
    if find_spec("vllm") is None:
        missing["engine"] = "vllm is not installed: pip install 'ace-vllm[cpu]'"
    if not _has_gpu():
        missing["gpu"] = "no CUDA GPU"
    if find_spec("ray") is None:
        missing["ray"] = "ray is not installed: pip install 'ace-vllm[ray]'"
    if find_spec("playwright") is None:
        missing["browser"] = "playwright is not installed"
    return missing


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = _missing()
    for item in items:
        for marker, reason in missing.items():
            if item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))
