"""Soak: one long run through the real loop and a real store, watched for whatever grows.

The model is scripted, so that what is measured is ace: the loop, the playbook and the store. It makes mistakes at a
steady rate and the token budget is a little too small for the world, so that bullets are added, updated, tagged and
evicted to the end of the run.
"""

from __future__ import annotations

import asyncio
import math
import os
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ace.bench.adaptation_runs.micro_settings import micro_run
from ace.bench.hardware.measured_machine import Machine
from ace.bench.markdown_tables import report, table
from ace.bench.report import Report
from ace.config import RunSettings
from ace.engine import Event, run
from ace.engine.events import BatchCommitted
from ace.errors import ProviderStartError
from ace.inference import ScriptedBackend
from ace.tasks.micro.scripted_model import ScriptedMicroModel

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

EPOCH = 500
"""Samples of an epoch; each ends with a compaction and a validation."""
BATCH = 10
SLIPS = 0.05
_STATUS = Path("/proc/self/status")
_FILES = Path("/proc/self/fd")


@dataclass(frozen=True, slots=True)
class SoakRow:
    """A tenth of the run: its time, and how things stood at its end."""

    samples: int
    wall_s: float
    cpu_s: float
    rss_bytes: int
    open_files: int
    store_bytes: int
    bullets: int


@dataclass(frozen=True, slots=True)
class SoakReport(Report):
    """Growth over the run. The first row is the warm-up and is in no ratio.

    `rss_slope` is in bytes a sample, by least squares over the second half of the run; `rss_peak_bytes` is the most the
    process ever held, with the start and the summary of the run.
    """

    rows: tuple[SoakRow, ...]
    samples: int
    seed: int
    calls: int
    operations: dict[str, int]
    rss_slope: float
    rss_peak_bytes: int
    store_slope: float
    open_files_start: int
    open_files_end: int
    machine: Machine

    @property
    def wall_ratio(self) -> float:
        """The last tenth's wall time against the first after warm-up."""
        return self.rows[-1].wall_s / self.rows[1].wall_s

    @property
    def cpu_ratio(self) -> float:
        """The same in CPU time, which a busy machine disturbs less."""
        return self.rows[-1].cpu_s / self.rows[1].cpu_s

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "wall_ratio": self.wall_ratio, "cpu_ratio": self.cpu_ratio}

    def to_markdown(self) -> str:
        """Growth, then the run by tenths, with the command's inputs and the machine above it."""
        size = self.samples // len(self.rows)
        done = ", ".join(f"{count} {name}" for name, count in sorted(self.operations.items()))
        what = [
            ("memory, second half of the run", f"{self.rss_slope:+.0f} bytes a sample"),
            ("store", f"{self.store_slope:+.0f} bytes a sample"),
            (
                f"last {size} samples against samples {size + 1} to {2 * size}",
                f"{self.wall_ratio:.2f}x wall time, {self.cpu_ratio:.2f}x CPU time",
            ),
            ("open files, first batch and last", f"{self.open_files_start} and {self.open_files_end}"),
            ("peak memory, with start and summary", f"{_mib(self.rss_peak_bytes)} MiB"),
        ]
        rows = (
            (
                str(r.samples),
                f"{r.wall_s:.2f}",
                f"{r.cpu_s:.2f}",
                _mib(r.rss_bytes),
                str(r.open_files),
                _mib(r.store_bytes),
                str(r.bullets),
            )
            for r in self.rows
        )
        return report(
            f"python -m benchmarks soak --samples {self.samples} --seed {self.seed}",
            self.machine,
            f"{self.samples} samples in batches of {BATCH}, {self.calls} scripted calls; {done}.",
            table(("what", "measured"), what),
            table(("samples", "wall s", "CPU s", "memory MiB", "open files", "store MiB", "bullets"), rows),
        )


def measure_soak(*, samples: int, seed: int) -> SoakReport:
    """Run `samples` samples, rounded up to whole epochs, in a temporary folder.

    ProviderStartError where the system has no /proc to measure memory and open files by.
    """
    if not _STATUS.exists() or not _FILES.exists():
        raise ProviderStartError(
            "python -m benchmarks soak reads memory and open files from /proc, which this system lacks"
        )
    epochs = math.ceil(samples / EPOCH)
    with TemporaryDirectory(prefix="ace-soak-") as folder:
        store = Path(folder) / "ace.db"
        watch = _Watch(store, batches=epochs * EPOCH // BATCH)
        backend = ScriptedBackend(ScriptedMicroModel(slips=SLIPS), record=False)
        summary = asyncio.run(run(_settings(store, epochs, seed), backends={"main": backend}, listener=watch))
    return watch.report(seed, sum(summary.calls.values()))


def _settings(store: Path, epochs: int, seed: int) -> RunSettings:
    return micro_run(
        store,
        {"seed": seed, "terms": 40, "modifiers": 20, "train": EPOCH, "validation": 20, "test": 20},
        name="soak",
        seed=seed,
        models={"main": {"provider": "scripted", "model": "scripted"}},
        adaptation={"batch_size": BATCH, "max_rounds": 2, "epochs": epochs},
        playbook={"token_budget": 230},  # words, as the script counts; the whole world takes 240
    )


class _Watch:
    """A listener that takes a row of numbers after every batch, in memory that was there before the run began."""

    def __init__(self, store: Path, *, batches: int) -> None:
        import numpy as np

        self._store = store
        self._taken = np.full((batches, 6), -1.0)
        self._operations: Counter[str] = Counter()
        self._started = time.perf_counter(), time.process_time()

    def __call__(self, event: Event) -> None:
        if isinstance(event, BatchCommitted):
            self._operations.update(event.operations)
            self._taken[event.index] = (
                time.perf_counter() - self._started[0],
                time.process_time() - self._started[1],
                _memory("VmRSS"),
                _open_files(),
                _size(self._store),
                event.bullets,
            )

    def report(self, seed: int, calls: int) -> SoakReport:
        taken = self._taken
        files = taken[:, 3]
        half = len(taken) // 2
        return SoakReport(
            rows=_rows(taken),
            samples=len(taken) * BATCH,
            seed=seed,
            calls=calls,
            operations=dict(self._operations),
            rss_slope=_slope(taken[half:, 2]),
            rss_peak_bytes=_memory("VmHWM"),
            store_slope=_slope(taken[half:, 4]),
            open_files_start=int(files[0]),
            open_files_end=int(files[-1]),
            machine=Machine.here(),
        )


def _rows(taken: npt.NDArray[np.float64]) -> tuple[SoakRow, ...]:
    """Ten rows. The first begins with the run: start-up and the first evaluation are in it."""
    ends = [len(taken) * tenth // 10 - 1 for tenth in range(1, 11)]
    rows = []
    wall = cpu = 0.0
    for end in ends:
        now, now_cpu, rss, files, size, bullets = taken[end]
        rows.append(
            SoakRow((end + 1) * BATCH, now - wall, now_cpu - cpu, int(rss), int(files), int(size), int(bullets))
        )
        wall, cpu = now, now_cpu
    return tuple(rows)


def _slope(values: npt.NDArray[np.float64]) -> float:
    """Least squares, a sample."""
    import numpy as np

    return float(np.polyfit(np.arange(len(values)) * BATCH, values, 1)[0])


def _memory(name: str) -> int:
    """A line of /proc/self/status, in bytes."""
    for line in _STATUS.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0


def _open_files() -> int:
    return len(os.listdir(_FILES)) - 1  # noqa: PTH208 - the one that lists them is among them


def _size(store: Path) -> int:
    """The store with its log."""
    return sum(file.stat().st_size for file in (store, store.with_name(store.name + "-wal")) if file.exists())


def _mib(count: int) -> str:
    return f"{count / (1 << 20):.1f}"
