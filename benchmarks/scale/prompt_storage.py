"""The cost of storing the prompt of every call: time in the loop, and size of the database.

A scripted model adapts to support tickets with the pack `standard`: it learns a bullet from each ticket, so that the
playbook in the prompts grows. The size is that of the run's database, and of a copy without the prompts. The time is
that of the journal's transactions: those of the run's calls are written anew into an empty store, with and without
their prompts, as many calls at a time as a batch has samples.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ace.bench.hardware.measured_machine import Machine
from ace.bench.markdown_tables import report, table
from ace.bench.report import Report
from ace.config import RunSettings, settings_from
from ace.engine import run
from ace.inference import ScriptedBackend
from ace.playbook import Playbook
from ace.roles import CallRecord
from ace.store import JournalEntry, RunStore
from ace.types import Completion, Message, Request

_CODE = re.compile(r"\b[A-Z]\d\d\b")


@dataclass(frozen=True, slots=True)
class PromptStorageReport(Report):
    """Bytes of the database and seconds of the journal, with and without prompts; seconds are medians.

    `characters` are those of all prompts together.
    """

    calls: int
    characters: int
    run_s: float
    bytes_with: int
    bytes_without: int
    journal_s_with: float
    journal_s_without: float
    samples: int
    batch: int
    repetitions: int
    seed: int
    machine: Machine

    def to_markdown(self) -> str:
        command = (
            f"python -m benchmarks prompts --samples {self.samples} --batch {self.batch}"
            f" --repetitions {self.repetitions} --seed {self.seed}"
        )
        added = self.journal_s_with - self.journal_s_without
        rows = [
            (
                "database, MiB",
                f"{self.bytes_with / 2**20:.2f}",
                f"{self.bytes_without / 2**20:.2f}",
                f"{self.bytes_with / self.bytes_without:.2f}x",
            ),
            (
                "journal, ms a call",
                f"{self.journal_s_with / self.calls * 1e3:.3f}",
                f"{self.journal_s_without / self.calls * 1e3:.3f}",
                f"{self.journal_s_with / self.journal_s_without:.2f}x",
            ),
            (
                "whole run, s",
                f"{self.run_s:.2f}",
                f"{self.run_s - added:.2f}",
                f"{self.run_s / (self.run_s - added):.3f}x",
            ),
        ]
        text = (
            f"{self.calls} calls, whose prompts have {self.characters:,} characters together. The model is "
            "scripted and answers at once; the run without prompts is the run less the journal's difference."
        )
        body = table(("", "with prompts", "without", "ratio"), rows)
        return report(command, self.machine, f"{text}\n\n{body}")


def measure_prompt_storage(*, samples: int, batch: int, repetitions: int, seed: int) -> PromptStorageReport:
    """Do the run, then measure its database and its journal."""
    with tempfile.TemporaryDirectory(prefix="ace-prompts-") as folder:
        path = Path(folder) / "ace.db"
        settings = make_settings(path, samples, batch, seed)
        summary = asyncio.run(run(settings, backends={"main": ScriptedBackend(answer)}))
        with RunStore.open(settings.store) as store:
            calls = stored_calls(store, summary.run)
            digests = [call.digest for call in calls]
            prompts: dict[str, tuple[Message, ...]] = {}
            for start in range(0, len(digests), 400):
                prompts |= store.prompts(digests[start : start + 400])
        times: dict[bool, list[float]] = {True: [], False: []}
        for repetition in range(repetitions + 1):
            for stored in (True, False):
                url = f"sqlite:///{folder}/{repetition}-{stored}.db"
                times[stored].append(time_journal(url, settings, calls, prompts if stored else {}, batch))
        return PromptStorageReport(
            len(calls),
            sum(len(message.content) for messages in prompts.values() for message in messages),
            summary.wall_s,
            path.stat().st_size,
            size_without_prompts(path),
            statistics.median(times[True][1:]),  # the first one warms up
            statistics.median(times[False][1:]),
            samples,
            batch,
            repetitions,
            seed,
            Machine.here(),
        )


def make_settings(path: Path, samples: int, batch: int, seed: int) -> RunSettings:
    """A run over so many support tickets, with evaluations before and after on as many others."""
    return settings_from(
        {
            "name": "prompts",
            "store": f"sqlite:///{path}",
            "seed": seed,
            "task": {
                "name": "routing",
                "routing": {"seed": seed, "train": samples, "validation": 10, "test": samples},
            },
            "models": {"main": {"provider": "scripted", "model": "scripted"}},
            "prompts": "standard",
            "cache": "none",
            "adaptation": {"batch_size": batch, "max_rounds": 1},
        }
    )


def answer(request: Request) -> str:
    """Answers wrongly, and learns a rule from every ticket."""
    fields = request.schema["properties"] if request.schema else {}
    user = request.messages[-1].content
    if "final_answer" in fields:
        return json.dumps({"reasoning": "It may be anything.", "bullet_ids": [], "final_answer": "unknown"})
    if "key_insight" in fields:
        words = " ".join(re.findall(r"[a-z]{4,}", user)[:12])
        insight = f"A ticket with words such as {words} goes to {_CODE.findall(user)[-1]}."
        return json.dumps({"reasoning": "The desk was not known.", "key_insight": insight, "bullet_tags": []})
    rules = re.findall(r"A ticket with words such as .*?\.", user)
    adds = [{"type": "ADD", "reason": "", "section": "str", "content": rule} for rule in rules]
    return json.dumps({"reasoning": "", "operations": adds})


def stored_calls(store: RunStore, run_id: str) -> list[CallRecord]:
    """All calls of the run, of batches and of evaluations, one for each request."""
    calls = [call for batch in store.batches(run_id) for call in store.calls(run_id, batch=batch.index)]
    calls += [call for each in store.evaluations(run_id) for call in store.calls(run_id, evaluation=each.index)]
    return list({call.digest: call for call in calls}.values())


def time_journal(
    url: str, settings: RunSettings, calls: Sequence[CallRecord], prompts: Mapping[str, tuple[Message, ...]], size: int
) -> float:
    """Seconds that the journal's transactions take, `size` calls in each."""
    with RunStore.open(url) as store:
        run_id = store.create_run(settings, task_digest="sha256:t", pack_digest="sha256:p", playbook=Playbook.empty())
        taken = 0.0
        for start in range(0, len(calls), size):
            chunk = calls[start : start + size]
            entries = [
                JournalEntry(call.role, call.digest, Completion(call.text, "stop", call.usage, call.model))
                for call in chunk
            ]
            of_chunk = {call.digest: prompts[call.digest] for call in chunk if call.digest in prompts}
            began = time.perf_counter()
            store.commit_journal(run_id, entries, prompts=of_chunk)
            taken += time.perf_counter() - began
        return taken


def size_without_prompts(path: Path) -> int:
    """Bytes of a copy of the database from which the prompts were removed."""
    copy = path.with_name("without.db")
    shutil.copyfile(path, copy)
    with sqlite3.connect(copy) as connection:
        connection.execute("DELETE FROM prompts")
        connection.execute("DELETE FROM prompt_texts")
        connection.commit()
        connection.execute("VACUUM")
    connection.close()
    return copy.stat().st_size
