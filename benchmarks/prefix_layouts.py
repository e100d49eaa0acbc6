"""One run's prompts in three layouts: how much of each the engine's prefix cache serves, and what that takes.

A run of the micro world with a scripted model that makes no mistake gives the requests, batch by batch. Each is then
laid out anew and asked of the same engine, a batch at a time, in a process of its own for every layout:

- **ours**: the prefix log, shared by all roles;
- **counters in the prompt**: each bullet's line begins `[id] helpful=3 harmful=1 ::`, as in the original release of
  ACE, so that every tag changes the prompt from that bullet on;
- **top-k by question**: each sample's prompt has the bullets that are likest to its question, best first, as retrieval
  per sample gives them; these prompts are shorter, and they lack what was not retrieved.

What is computed are prompt tokens less those that the cache served. Every request generates at most the same few
tokens; a model may end sooner in one layout, so generated tokens are in the table. What the layouts do to the answers
is not measured here. The micro model's tokenizer, made for words and codes, cuts the text of a counter into many more
tokens than a larger one does: compare shares there, not prompt tokens.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from ace.bench.adaptation_runs.micro_settings import micro_run
from ace.bench.adaptation_runs.request_recorder import RequestRecorder
from ace.bench.hardware.isolated_process import isolated
from ace.bench.hardware.measured_machine import Machine
from ace.bench.markdown_tables import report, table
from ace.bench.report import Report
from ace.config import ModelSettings, RunSettings
from ace.engine import run
from ace.inference import Backend, ScriptedBackend, create_backend
from ace.playbook import NgramEmbedder, Playbook
from ace.playbook.render import LineFormats, render
from ace.prompts import load_pack
from ace.store import RunStore
from ace.tasks.micro.scripted_model import ScriptedMicroModel
from ace.types import Completion, Message, Request, Sampling, Usage

TERMS, MODIFIERS, BATCH = 60, 40, 16


@dataclass(frozen=True, slots=True)
class Recorded:
    """Requests of one batch, and the playbook behind which they were made."""

    playbook: Playbook
    requests: tuple[Request, ...]


@dataclass(frozen=True, slots=True)
class PrefixRow:
    """One layout. Tokens and shares are means over the repetitions, `seconds` is their median.

    `second_half` is the cached share in the second half of the batches; `speedup` is ours against this layout.
    """

    layout: str
    prompt_tokens: float
    computed_tokens: float
    completion_tokens: float
    cached_share: float
    second_half: float
    seconds: float
    speedup: float


@dataclass(frozen=True, slots=True)
class PrefixReport(Report):
    """All layouts, ours first, with what they were measured on."""

    rows: tuple[PrefixRow, ...]
    samples: int
    top: int
    tokens: int
    repetitions: int
    seed: int
    machine: Machine

    def to_markdown(self) -> str:
        """A table with the command's inputs and the machine above it."""
        inputs = f"--samples {self.samples} --top {self.top} --tokens {self.tokens}"
        columns = (
            "layout",
            "prompt tokens",
            "cached",
            "cached, second half",
            "computed tokens",
            "generated tokens",
            "seconds (median)",
            "ours is faster by",
        )
        rows = (
            (
                row.layout,
                f"{row.prompt_tokens:.0f}",
                f"{row.cached_share:.1%}",
                f"{row.second_half:.1%}",
                f"{row.computed_tokens:.0f}",
                f"{row.completion_tokens:.0f}",
                f"{row.seconds:.2f}",
                f"{row.speedup:.1f}x",
            )
            for row in self.rows
        )
        command = f"python -m benchmarks prefix {inputs} --repetitions {self.repetitions} --seed {self.seed}"
        return report(command, self.machine, table(columns, rows))


def measure_prefix(
    *, samples: int, top: int, tokens: int, repetitions: int, seed: int, model: str = "micro-target"
) -> PrefixReport:
    """Measure all layouts, each in a process of its own. Raises what starting the engine raises."""
    rows: list[PrefixRow] = []
    for layout in LAYOUTS:
        row = isolated(_measure, layout, samples, top, tokens, repetitions, seed, model)
        rows.append(replace(row, speedup=row.seconds / rows[0].seconds if rows else 1.0))
    return PrefixReport(tuple(rows), samples, top, tokens, repetitions, seed, Machine.here())


def record(samples: int, world: int) -> list[Recorded]:
    """The batches of a whole scripted run over `samples` questions of one world."""
    backend = RequestRecorder(ScriptedBackend(ScriptedMicroModel(), record=False))
    with TemporaryDirectory(prefix="ace-bench-") as folder:
        settings = _settings(Path(folder) / "ace.db", samples, world)
        summary = asyncio.run(run(settings, backends={"main": backend}, listener=backend.listen))
        with RunStore.open(settings.store, create=False) as store:
            first = store.playbook(summary.run, 0)
            playbooks = [
                first,
                *(store.playbook_after(summary.run, index) for index in range(len(backend.batches) - 1)),
            ]
    return [Recorded(playbook, tuple(batch)) for playbook, batch in zip(playbooks, backend.batches, strict=True)]


def ours(recorded: Recorded, top: int) -> list[Request]:
    """As they were asked."""
    return list(recorded.requests)


def counted(recorded: Recorded, top: int) -> list[Request]:
    """With each bullet's counters before its words."""
    lines = [
        f"[{bullet.id}] helpful={bullet.counters.helpful} harmful={bullet.counters.harmful} :: {bullet.content}"
        for bullet in recorded.playbook.bullets
    ]
    return [_behind("\n".join(lines) or LineFormats().empty, request) for request in recorded.requests]


def retrieved(recorded: Recorded, top: int) -> list[Request]:
    """With the `top` bullets that are likest to the question; a curator, who has none, is shown all."""
    bullets, formats, embedder = recorded.playbook.bullets, load_pack("micro").formats, _EMBEDDER
    if not bullets:
        return list(recorded.requests)
    vectors = embedder.embed([bullet.content for bullet in bullets])
    laid_out = []
    for request in recorded.requests:
        head, question, *_ = request.messages[-1].content.split("\n")
        if head == "CURATE":
            laid_out.append(request)
            continue
        likeness = vectors @ embedder.embed([question])[0]
        best = [bullets[int(place)] for place in (-likeness).argsort(kind="stable")[:top]]
        chosen = Playbook.of(best, recorded.playbook.sections, next_number=recorded.playbook.next_number)
        laid_out.append(_behind(render(chosen, formats), request))
    return laid_out


_EMBEDDER = NgramEmbedder()
LAYOUTS: Mapping[str, Callable[[Recorded, int], list[Request]]] = {
    "ours": ours,
    "counters in the prompt": counted,
    "top-k by question": retrieved,
}


def _behind(playbook: str, request: Request) -> Request:
    preamble = load_pack("micro").preamble
    return replace(request, messages=(Message("system", f"{preamble}\n{playbook}"), *request.messages[1:]))


def _measure(layout: str, samples: int, top: int, tokens: int, repetitions: int, seed: int, model: str) -> PrefixRow:
    """All repetitions of one layout in this process, each with a world of its own, and one more to warm up."""
    worlds = [record(samples, world) for world in (seed + 500_000, *range(seed, seed + repetitions))]
    batches = [[LAYOUTS[layout](batch, top) for batch in world] for world in worlds]
    sampling = Sampling(max_tokens=tokens, temperature=0.0, top_p=1.0)
    requests = [[[Request(r.messages, sampling) for r in batch] for batch in world] for world in batches]
    backend = create_backend(ModelSettings(provider="vllm", model=model, max_model_len=4096))
    played = asyncio.run(_play(backend, requests))
    return _row(layout, played[1:])


@dataclass(frozen=True, slots=True)
class _Played:
    seconds: float
    usages: list[list[Usage]]


async def _play(backend: Backend, worlds: Sequence[Sequence[Sequence[Request]]]) -> list[_Played]:
    try:
        played = []
        for world in worlds:
            started = time.perf_counter()
            answers: list[list[Completion]] = []
            for batch in world:
                answers.append(list(await asyncio.gather(*(backend.complete(request) for request in batch))))
            seconds = time.perf_counter() - started
            played.append(_Played(seconds, [[answer.usage for answer in batch] for batch in answers]))
        return played
    finally:
        await backend.close()


def _row(layout: str, played: Sequence[_Played]) -> PrefixRow:
    usages = [usage for one in played for batch in one.usages for usage in batch]
    later = [usage for one in played for batch in one.usages[len(one.usages) // 2 :] for usage in batch]
    prompt, cached = sum(u.prompt_tokens for u in usages), sum(u.cached_tokens for u in usages)
    later_prompt = sum(usage.prompt_tokens for usage in later)
    seconds = statistics.median(one.seconds for one in played)
    return PrefixRow(
        layout=layout,
        prompt_tokens=prompt / len(played),
        computed_tokens=(prompt - cached) / len(played),
        completion_tokens=sum(usage.completion_tokens for usage in usages) / len(played),
        cached_share=cached / prompt,
        second_half=sum(usage.cached_tokens for usage in later) / later_prompt,
        seconds=seconds,
        speedup=1.0,
    )


def _settings(store: Path, samples: int, world: int) -> RunSettings:
    return micro_run(
        store,
        {"seed": world, "terms": TERMS, "modifiers": MODIFIERS, "train": samples, "validation": 0, "test": 0},
        models={"main": {"provider": "scripted", "model": "scripted"}},
        adaptation={"batch_size": BATCH},
        evaluation={"before": False, "after": False},
    )
