"""Milliseconds that the dashboard takes for a page of a store with many runs and a large playbook.

The application is called in this process, without a network. The store is made up: runs that did nothing, and one with
a large playbook, twenty batches and their calls.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fastapi.testclient import TestClient

from ace.bench.hardware.measured_machine import Machine
from ace.bench.markdown_tables import report, table
from ace.bench.report import Report
from ace.config import RunSettings, settings_from
from ace.dashboard import create_app
from ace.playbook import Bullet, Delta, Playbook, Provenance, Section, Tag, apply
from ace.roles import CallRecord
from ace.store import BatchRecord, OutcomeRecord, RunStore
from ace.types import Message, Usage

BATCHES, SAMPLES = 20, 32


@dataclass(frozen=True, slots=True)
class PagesReport(Report):
    """Medians in milliseconds, of wall-clock time and of this process's CPU time, and sizes in bytes by page."""

    milliseconds: Mapping[str, float]
    cpu_milliseconds: Mapping[str, float]
    sizes: Mapping[str, int]
    runs: int
    bullets: int
    repetitions: int
    seed: int
    machine: Machine

    def to_markdown(self) -> str:
        command = (
            f"python -m benchmarks pages --runs {self.runs} --bullets {self.bullets}"
            f" --repetitions {self.repetitions} --seed {self.seed}"
        )
        rows = [
            (page, f"{taken:.0f}", f"{self.cpu_milliseconds[page]:.0f}", f"{self.sizes[page] / 1024:.0f}")
            for page, taken in self.milliseconds.items()
        ]
        return report(command, self.machine, table(("page", "milliseconds (median)", "of CPU time", "KiB"), rows))


def measure_pages(*, runs: int, bullets: int, repetitions: int, seed: int) -> PagesReport:
    """Fill a store and time every kind of page."""
    milliseconds, cpu, sizes = {}, {}, {}
    with tempfile.TemporaryDirectory(prefix="ace-pages-") as folder:
        url = f"sqlite:///{Path(folder) / 'ace.db'}"
        run = fill_store(url, runs, bullets)
        with TestClient(create_app(url), base_url="http://127.0.0.1") as client:
            for name, path in pages(run).items():
                taken, computed = [], []
                for _ in range(repetitions + 1):
                    started, began = time.perf_counter(), time.process_time()
                    answer = client.get(path)
                    taken.append(time.perf_counter() - started)
                    computed.append(time.process_time() - began)
                    answer.raise_for_status()
                milliseconds[name] = statistics.median(taken[1:]) * 1000  # the first one warms up
                cpu[name] = statistics.median(computed[1:]) * 1000
                sizes[name] = len(answer.content)
    return PagesReport(milliseconds, cpu, sizes, runs, bullets, repetitions, seed, Machine.here())


def pages(run: str) -> dict[str, str]:
    """The pages of the dashboard for `run`, by name."""
    return {
        "runs": "/",
        "run": f"/runs/{run}",
        "playbook": f"/runs/{run}/playbook",
        "bullet": f"/runs/{run}/bullets/str-00001",
        "difference": f"/runs/{run}/diff?before=0&after={BATCHES}",
        "calls": f"/runs/{run}/calls?batch=0",
        "call": f"/runs/{run}/calls/sha256:0-0",
    }


def fill_store(url: str, runs: int, bullets: int) -> str:
    """Store `runs` runs and return the id of the one with a playbook of so many bullets."""
    settings = settings_from(
        {
            "name": "made-up",
            "store": url,
            "task": {"name": "micro"},
            "models": {"main": {"provider": "scripted", "model": "scripted"}},
        }
    )
    with RunStore.open(url) as store:
        for _ in range(runs - 1):
            store.finish_run(_create(store, settings, Playbook.empty()), "done", best_version=0)
        source = Provenance(batch=0, sample="sample-0", role="curator")
        advice = [
            Bullet(f"str-{number:05d}", "str", f"In case {number}, check the unit twice.", created=source)
            for number in range(1, bullets + 1)
        ]
        playbook = Playbook.of(advice, [Section("str", "Strategies")])
        run = _create(store, settings, playbook)
        for index in range(BATCHES):
            tags = Delta(tuple(Tag(bullet.id, "helpful") for bullet in advice[index : index + SAMPLES]))
            playbook = apply(playbook, tags).playbook
            store.commit_batch(_batch(store, run, index, tags, playbook))
        store.finish_run(run, "done", best_version=playbook.version)
        return run


def _create(store: RunStore, settings: RunSettings, playbook: Playbook) -> str:
    return store.create_run(settings, task_digest="sha256:task", pack_digest="sha256:pack", playbook=playbook)


def _batch(store: RunStore, run: str, index: int, delta: Delta, playbook: Playbook) -> BatchRecord:
    shared = Message("system", "\n".join(bullet.content for bullet in playbook.bullets))
    calls = tuple(
        CallRecord(
            role="generator" if number % 2 else "reflector",
            sample_id=f"sample-{number // 2}",
            round=number % 2,
            digest=f"sha256:{index}-{number}",
            model="scripted",
            usage=Usage(prompt_tokens=8_000, cached_tokens=7_900, completion_tokens=200, total_s=1.0),
            finish_reason="stop",
            text='{"reasoning": "' + "because " * 60 + '", "bullet_ids": ["str-00001"], "final_answer": "42"}',
            parsed=number % 8 != 0,
            error="no JSON" if number % 8 == 0 else None,
        )
        for number in range(2 * SAMPLES)
    )
    store.commit_journal(run, [], prompts={call.digest: (shared, Message("user", "How much?")) for call in calls})
    outcomes = tuple(
        OutcomeRecord(f"sample-{position}", position, value=1.0, correct=True) for position in range(SAMPLES)
    )
    return BatchRecord(run, index, 0, outcomes, calls, delta, playbook)
