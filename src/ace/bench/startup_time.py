"""Time from a cold process to the first token, mode by mode, each in processes of its own.

`compiled, cold` has an empty cache of compiled code, `compiled, cached` what an earlier start left there. `warm` asks
an engine that `ace serve-engine` holds, whose own start is not counted.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ace.bench.hardware.measured_machine import Machine
from ace.bench.markdown_tables import report, table
from ace.bench.report import Report
from ace.errors import ProviderStartError

MODES = ("huggingface", "vllm", "warm", "compiled, cold", "compiled, cached")
_LIMIT_S = 600.0
FIRST_TOKEN = ("-P", str(Path(__file__).with_name("first_token.py")))
"""Arguments to Python that run that file. `-P`, or the files beside it would stand in for modules of their names."""


@dataclass(frozen=True, slots=True)
class StartRow:
    """One mode: medians in seconds. `engine_s` holds the imports that only the engine needs."""

    mode: str
    import_s: float
    engine_s: float
    first_s: float
    total_s: float
    speedup: float


@dataclass(frozen=True, slots=True)
class StartReport(Report):
    """All modes, with what they were measured on; the first is what the others are compared to."""

    rows: tuple[StartRow, ...]
    repetitions: int
    seed: int
    model: str
    machine: Machine

    def to_markdown(self) -> str:
        """A table with the command's inputs and the machine above it."""
        columns = ("mode", "import ace", "engine", "first token", "together (median)", f"against {self.rows[0].mode}")
        rows = (
            (r.mode, *(f"{s:.2f} s" for s in (r.import_s, r.engine_s, r.first_s, r.total_s)), f"{r.speedup:.1f}x")
            for r in self.rows
        )
        command = f"ace bench start --repetitions {self.repetitions} --seed {self.seed}"
        return report(command, self.machine, table(columns, rows))


def measure_start(
    *, repetitions: int, seed: int, model: str = "micro-target", modes: Sequence[str] = MODES
) -> StartReport:
    """Measure `modes`; `seed` is what the first request asks.

    ProviderStartError with a process's last words where one fails.
    """
    rows = [_row(mode, [*_measured(mode, model, repetitions, seed)]) for mode in modes]
    base = rows[0].total_s
    rows = [StartRow(r.mode, r.import_s, r.engine_s, r.first_s, r.total_s, base / r.total_s) for r in rows]
    return StartReport(tuple(rows), repetitions, seed, model, Machine.here())


def _row(mode: str, measured: Sequence[Sequence[float]]) -> StartRow:
    imported, engine, first = (statistics.median(column) for column in zip(*measured, strict=True))
    return StartRow(mode, imported, engine, first, statistics.median(map(sum, measured)), 1.0)


def _measured(mode: str, model: str, repetitions: int, seed: int) -> Iterator[list[float]]:
    """Import, engine and first token of each repetition, in seconds."""
    settings: dict[str, Any] = {"provider": "vllm", "model": model, "max_model_len": 2048}
    if mode == "huggingface":
        settings["provider"] = mode
    if mode.startswith("compiled"):
        settings["compile"] = True
    with tempfile.TemporaryDirectory(prefix="ace-b-") as folder, warm_engine(mode == "warm", settings, folder) as place:
        if mode == "compiled, cached":
            start_process(settings, seed, {**place, **_caches(f"{folder}/kept")})
        for number in range(repetitions):
            cache_name = "kept" if mode == "compiled, cached" else str(number)
            yield start_process(
                settings, seed, {**place, **_caches(f"{folder}/{cache_name}")} if mode.startswith("compiled") else place
            )


def _caches(folder: str) -> Mapping[str, str]:
    return {"VLLM_CACHE_ROOT": folder, "TORCHINDUCTOR_CACHE_DIR": f"{folder}/inductor"}


def start_process(settings: Mapping[str, Any], seed: int, environment: Mapping[str, str]) -> list[float]:
    """Seconds of a new process for its imports, its engine and the first token. ProviderStartError where it fails."""
    done = subprocess.run(
        [sys.executable, *FIRST_TOKEN, json.dumps(settings), str(seed)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
    )
    if done.returncode:
        raise ProviderStartError(f"a measured process failed: {done.stderr.strip()[-500:]}")
    measured: list[float] = json.loads(done.stdout.splitlines()[-1])
    return measured


@contextlib.contextmanager
def warm_engine(warm: bool, settings: Mapping[str, Any], folder: str) -> Iterator[Mapping[str, str]]:
    """The environment in which there is a warm engine, or none."""
    if not warm:
        yield {"ACE_WARM": "0"}
        return
    place = {"XDG_RUNTIME_DIR": folder, "ACE_WARM": "1"}
    overrides = [f"--set=models.main.{key}={json.dumps(value)}" for key, value in settings.items()]
    with subprocess.Popen(
        [sys.executable, "-m", "ace", "serve-engine", *overrides],
        env={**os.environ, **place},
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            assert server.stderr is not None
            line = server.stderr.readline()
            if "warm" not in line:
                raise ProviderStartError(f"ace serve-engine failed: {line.strip()}")
            yield place
        finally:
            server.terminate()
