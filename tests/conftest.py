"""Shared by all tests: what an environment lacks is skipped, never failed. Rooms keep their fixtures with them."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from ace.inference.model_files.lora_adapter import Adapter
    from ace.inference.providers.vllm import VllmBackend

os.environ["ACE_WARM"] = "0"  # a warm engine of whoever runs the tests has nothing to do with them

_ALWAYS = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no failure
settings.register_profile("fast", _ALWAYS, max_examples=10)
settings.register_profile("ci", _ALWAYS, max_examples=30)
settings.register_profile("nightly", _ALWAYS, max_examples=300)
settings.load_profile(os.environ.get("ACE_HYPOTHESIS_PROFILE", "ci"))


def _has_gpu() -> bool:
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None


def _missing() -> dict[str, str]:
    """Markers whose tests cannot run here, and why."""
    missing = {}
    if absent := [name for name in ("vllm", "transformers") if find_spec(name) is None]:
        missing["engine"] = f"{' and '.join(absent)} not installed: pip install 'ace-vllm[cpu]'"
    if find_spec("ray") is None:
        missing["ray"] = "ray not installed: pip install 'ace-vllm[ray]'"
    if not _has_gpu():
        missing["gpu"] = "no CUDA GPU"
    return missing


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = _missing()
    for item in items:
        if item.get_closest_marker("engine") or item.get_closest_marker("ray"):
            # One worker has all engines: they share the one of the session, and none competes with another for cores.
            item.add_marker(pytest.mark.xdist_group("engine"))
        for marker, reason in missing.items():
            if item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_interrupts() -> None:
    """Ctrl-C as in a shell. The workers of pytest-xdist ignore it, and the processes that they start inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a very small model with random weights."""
    from vllm_model import build_model

    return build_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def tiny_adapters(tmp_path_factory: pytest.TempPathFactory) -> tuple[Adapter, ...]:
    """Two adapters of different ranks for the tiny model."""
    from vllm_model import build_adapter

    from ace.inference.model_files.lora_adapter import read_adapter

    folder = tmp_path_factory.mktemp("adapters")
    return tuple(read_adapter(str(build_adapter(folder / f"{seed}", seed=seed, rank=4 + seed))) for seed in (1, 2))


@pytest.fixture(scope="session")
def tiny_engine(tiny_model: Path, tiny_adapters: tuple[Adapter, ...]) -> Iterator[VllmBackend]:
    """One vLLM engine, with adapters, for all tests that need any. Nothing may be left in it, and nothing broken."""
    from ace.config import ModelSettings
    from ace.inference.providers.vllm import create

    settings = ModelSettings(provider="vllm", model=str(tiny_model), dtype="float32")
    engine = create(settings, "a test", adapters=tiny_adapters)
    yield engine
    asyncio.run(engine.close())
    assert not [thread for thread in threading.enumerate() if thread.name == "ace-vllm-stepping"]


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a PostgreSQL server of the session's own; skips where none is installed."""
    from postgresql_server import postgresql_server, skip_without_postgresql

    skip_without_postgresql()
    with postgresql_server() as url:
        yield url
