"""Where an engine runs: in the process of the run, kept warm by `ace serve-engine`, or two of them on a Ray cluster.

The start is that of a new process up to its first token; a cluster that is there already keeps its shared engines. For
the rate all engines are up in turn with one client, and each round asks all of them, so that other work on the machine
meets all alike.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any

from ace.bench.hardware.measured_machine import Machine
from ace.bench.markdown_tables import report, table
from ace.bench.report import Report
from ace.bench.startup_time import start_process, warm_engine
from ace.config import ModelSettings
from ace.inference import Backend, create_backend
from ace.types import Message, Request, Sampling

MODEL: Mapping[str, Any] = {"model": "micro-target", "dtype": "float32", "max_model_len": 2048}
VLLM = {**MODEL, "provider": "vllm"}
REQUESTS, TOKENS, PREFIX_WORDS = 64, 48, 40


@dataclass(frozen=True, slots=True)
class PlaceRow:
    """One place: seconds to the first token of a new process, and tokens a second of each round."""

    place: str
    start_s: tuple[float, ...]
    rates: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class PlacesReport(Report):
    """All places; the first is what the others are compared to, round by round."""

    rows: tuple[PlaceRow, ...]
    repetitions: int
    rounds: int
    seed: int
    load: str
    machine: Machine

    def to_markdown(self) -> str:
        """A table with the command's inputs and the machine above it."""
        columns = ("engine", "first token of a new process", "tokens/s, median (range)", "against the first, median")
        first = self.rows[0].rates
        rows = (
            (
                row.place,
                f"{statistics.median(row.start_s):.1f} s ({min(row.start_s):.1f} to {max(row.start_s):.1f})",
                f"{statistics.median(row.rates):,.0f} ({min(row.rates):,.0f} to {max(row.rates):,.0f})",
                f"{statistics.median(own / base for own, base in zip(row.rates, first, strict=True)):.2f}x",
            )
            for row in self.rows
        )
        command = f"python -m benchmarks places --repetitions {self.repetitions} --rounds {self.rounds}"
        work = f"{REQUESTS} requests at once with one prefix, {TOKENS} new tokens each; load {self.load}."
        return report(f"{command} --seed {self.seed}", self.machine, work, table(columns, rows))


def measure_places(*, repetitions: int, rounds: int, seed: int) -> PlacesReport:
    """Measure starts, then rates. ProviderStartError where an engine or the cluster does not come up."""
    before = os.getloadavg()[0]
    with TemporaryDirectory(prefix="ace-b-") as folder, warm_engine(True, VLLM, folder) as warm, _cluster() as address:
        alone = {"provider": "ray", **MODEL, "replicas": 2}
        shared = {**alone, "ray": {"address": address, "shared": True, "keep_s": 3600}}
        places: dict[str, tuple[Mapping[str, Any], Mapping[str, str]]] = {
            "in the process of the run": (VLLM, {"ACE_WARM": "0"}),
            "`ace serve-engine`": (VLLM, warm),
            "two on a Ray cluster that ace starts": (alone, {}),
            "two on a Ray cluster, kept for runs that share": (shared, {}),
        }
        start_process(shared, seed, {})  # the run before, which leaves the engines
        starts: dict[str, list[float]] = {place: [] for place in places}
        for number in range(repetitions):
            for place, (settings, environment) in places.items():
                starts[place].append(sum(start_process(settings, seed + number, environment)))
        rates = _rates({place: places[place] for place in places if "ace starts" not in place}, rounds, seed)
    rates["two on a Ray cluster that ace starts"] = rates["two on a Ray cluster, kept for runs that share"]
    rows = tuple(PlaceRow(place, tuple(starts[place]), rates[place]) for place in places)
    load = f"{before:.1f} before, {os.getloadavg()[0]:.1f} after"
    return PlacesReport(rows, repetitions, rounds, seed, load, Machine.here())


def _rates(
    places: Mapping[str, tuple[Mapping[str, Any], Mapping[str, str]]], rounds: int, seed: int
) -> dict[str, tuple[float, ...]]:
    live: dict[str, Backend] = {}
    for place, (settings, environment) in places.items():
        os.environ.update(environment)
        live[place] = create_backend(ModelSettings.model_validate(settings))
    return asyncio.run(_ask_all(live, rounds, seed))


async def _ask_all(live: Mapping[str, Backend], rounds: int, seed: int) -> dict[str, tuple[float, ...]]:
    """Tokens a second of each backend in each round, after one to warm up."""
    rates: dict[str, list[float]] = {place: [] for place in live}
    for number in range(rounds + 1):
        for place, backend in live.items():
            began = time.perf_counter()
            answers = await asyncio.gather(*map(backend.complete, _requests(seed, number)))
            tokens = sum(answer.usage.completion_tokens for answer in answers)
            rates[place].append(tokens / (time.perf_counter() - began))
    for backend in live.values():
        await backend.close()
    return {place: tuple(measured[1:]) for place, measured in rates.items()}


def _requests(seed: int, number: int) -> list[Request]:
    prefix = Message("system", " ".join(f"w{seed}{number}{word}" for word in range(PREFIX_WORDS)))
    sampling = Sampling(max_tokens=TOKENS, temperature=0.0, ignore_eos=True)
    return [Request((prefix, Message("user", f"question {n}")), sampling) for n in range(REQUESTS)]


@contextlib.contextmanager
def _cluster() -> Iterator[str]:
    """A Ray cluster of this machine that is there before a run and after it; its address."""
    from ray.cluster_utils import Cluster

    nodes = Cluster()
    nodes.add_node(num_cpus=os.cpu_count(), include_dashboard=False, _system_config={"worker_niceness": 0})
    try:
        yield nodes.address
    finally:
        nodes.shutdown()
