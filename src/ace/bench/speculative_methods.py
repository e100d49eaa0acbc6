"""Comparison of methods of speculative decoding: speed, acceptance, and equality of the greedy answers.

Every method answers the requests that a run on the micro world makes - generator, reflector and curator behind a
playbook that grows, guided by their schemas - in a process of its own. Each repetition and batch size has a world of
its own: history and suffix decoding would otherwise find the very answers in their memory. Engine start is not in the
times. What `auto` may choose from then on is kept by `ace.inference.providers.vllm.speculation_verdicts`.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from ace.bench.adaptation_runs.micro_settings import greedy, micro_run
from ace.bench.hardware.isolated_process import isolated
from ace.bench.hardware.measured_machine import Machine
from ace.bench.markdown_tables import report, table
from ace.bench.report import Report
from ace.config import ModelSettings, SpeculativeSettings
from ace.engine import RoleTokens, run
from ace.errors import ProviderMissingError
from ace.inference import Backend, ScriptedBackend, create_backend
from ace.inference.model_files.hub import local_folder
from ace.inference.providers.vllm.speculation_verdicts import Measured, Verdict, keep_verdict
from ace.tasks.micro.scripted_model import ScriptedMicroModel
from ace.types import Completion, Request, Usage

BATCHES = (1, 16)
_WORLDS = 1_000
"""Worlds between one batch size and the next."""


@dataclass(frozen=True, slots=True)
class SpeculativeRow:
    """One method at one batch size. `seconds` is the median over the repetitions, `ratio` that of the tokens a second.

    `acceptance_rate` and `accepted_length` are those of `ace.engine.RoleTokens`, over all repetitions; `identical` says
    how many of `answers` are those without speculation.
    """

    method: str
    batch: int
    seconds: float
    tokens_per_s: float
    ratio: float
    acceptance_rate: float | None
    accepted_length: float | None
    identical: int
    answers: int
    start_s: float


@dataclass(frozen=True, slots=True)
class SpeculativeReport(Report):
    """All methods at all batch sizes, none first; `missing` says what could not be measured, and why."""

    rows: tuple[SpeculativeRow, ...]
    missing: dict[str, str]
    verdict: str
    command: str
    machine: Machine

    def to_markdown(self) -> str:
        """A table with the command and the machine above it, and what `auto` makes of it below."""
        columns = (
            "method",
            "batch",
            "seconds (median)",
            "tokens/s",
            "against none",
            "drafts accepted",
            "tokens a draft",
            "same answers",
        )
        rows = (
            (
                row.method,
                str(row.batch),
                f"{row.seconds:.2f}",
                f"{row.tokens_per_s:.0f}",
                f"{row.ratio:.2f}x",
                "-" if row.acceptance_rate is None else f"{row.acceptance_rate:.0%}",
                "-" if row.accepted_length is None else f"{row.accepted_length:.2f}",
                f"{row.identical} of {row.answers}",
            )
            for row in self.rows
        )
        missing = [f"{method} was not measured: {why}" for method, why in self.missing.items()]
        return report(self.command, self.machine, table(columns, rows), *missing, self.verdict)


@dataclass(frozen=True, slots=True)
class Trial:
    """Results of one method at one batch size: one item of `seconds`, `texts` and `usages` a repetition."""

    batch: int
    seconds: tuple[float, ...]
    texts: tuple[tuple[str, ...], ...]
    usages: tuple[Usage, ...]
    start_s: float


def measure_speculative(
    *,
    requests: int,
    batches: Sequence[int],
    repetitions: int,
    seed: int,
    model: str = "micro-target",
    draft: str | None = "micro-draft",
    compiled: bool = False,
    keep: bool = True,
) -> SpeculativeReport:
    """Measure none and each method, and keep the verdict for `speculative: auto`. Raises what starting vLLM raises."""
    batches = sorted(set(batches))
    settings = ModelSettings(provider="vllm", model=model, max_model_len=2048, compile=True if compiled else "auto")
    work = _work(requests, batches, repetitions, seed)
    trials: list[tuple[SpeculativeSettings, list[Trial]]] = []
    missing: dict[str, str] = {}
    for method in _methods(draft):
        try:
            trials.append((method, isolated(measure_method, settings.model_copy(update={"speculative": method}), work)))
        except ProviderMissingError as error:
            missing[method.method] = error.message
    base = {trial.batch: trial for trial in trials[0][1]}
    measured = [
        (method, speculative_row(method, trial, base[trial.batch]))
        for method, of_method in trials
        for trial in of_method
    ]
    here = Machine.here()
    verdict = Verdict(
        here.date[:10],
        tuple(
            Measured(method, row.batch, row.ratio, row.identical == row.answers)
            for method, row in measured
            if method.method != "none"
        ),
    )
    text = "Not kept for `speculative: auto`."
    if keep:
        keep_verdict(settings, local_folder(settings), verdict)
        chosen, why = verdict.choice(max(batches))
        text = f"`speculative: auto` is {'off' if chosen.method == 'none' else chosen.method} from now on ({why})."
    command = _command(requests, batches, repetitions, seed, model, draft, compiled)
    return SpeculativeReport(tuple(row for _, row in measured), missing, text, command, here)


def measure_method(settings: ModelSettings, work: dict[int, list[list[Request]]]) -> list[Trial]:
    """Answer `work` (by batch size, the lists of a warm-up and the repetitions) with one engine, in this process."""
    return asyncio.run(measure_trials(create_backend(settings), work))


async def measure_trials(backend: Backend, work: dict[int, list[list[Request]]]) -> list[Trial]:
    """Answer the requests of each batch size: a warm-up that is not counted, then every repetition."""
    try:
        trials = []
        for batch, (warm_up, *repetitions) in work.items():
            await _answer(backend, warm_up, batch)
            measured = [await _answer(backend, requests, batch) for requests in repetitions]
            trials.append(
                Trial(
                    batch,
                    tuple(seconds for seconds, _ in measured),
                    tuple(tuple(completion.text for completion in answers) for _, answers in measured),
                    tuple(sum((completion.usage for completion in answers), Usage()) for _, answers in measured),
                    backend.info.start_s,
                )
            )
        return trials
    finally:
        await backend.close()


async def _answer(backend: Backend, requests: Sequence[Request], batch: int) -> tuple[float, list[Completion]]:
    """Seconds and answers, with `batch` requests under way at once."""
    room = asyncio.Semaphore(batch)

    async def one(request: Request) -> Completion:
        async with room:
            return await backend.complete(request)

    started = time.perf_counter()
    answers = await asyncio.gather(*(one(request) for request in requests))
    return time.perf_counter() - started, list(answers)


def _methods(draft: str | None) -> list[SpeculativeSettings]:
    methods = [SpeculativeSettings(), SpeculativeSettings(method="ngram"), SpeculativeSettings(method="history")]
    if draft is not None:
        methods.append(SpeculativeSettings(method="draft", model=draft))
    return [*methods, SpeculativeSettings(method="suffix")]


def speculative_row(method: SpeculativeSettings, trial: Trial, base: Trial) -> SpeculativeRow:
    """One method at one batch size, against `base` without speculation."""
    usage = RoleTokens.of(sum(trial.usages, Usage()))
    pairs = [
        (mine, theirs)
        for ours, bases in zip(trial.texts, base.texts, strict=True)
        for mine, theirs in zip(ours, bases, strict=True)
    ]
    return SpeculativeRow(
        method=method.method,
        batch=trial.batch,
        seconds=statistics.median(trial.seconds),
        tokens_per_s=_speed(trial),
        ratio=_speed(trial) / _speed(base),
        acceptance_rate=usage.acceptance_rate,
        accepted_length=usage.accepted_length,
        identical=sum(mine == theirs for mine, theirs in pairs),
        answers=len(pairs),
        start_s=trial.start_s,
    )


def _speed(trial: Trial) -> float:
    """Generated tokens a second, the median over the repetitions."""
    return statistics.median(
        usage.completion_tokens / seconds for usage, seconds in zip(trial.usages, trial.seconds, strict=True)
    )


def _work(requests: int, batches: Sequence[int], repetitions: int, seed: int) -> dict[int, list[list[Request]]]:
    return {
        batch: [
            recorded_requests(requests, seed + place * _WORLDS + repetition) for repetition in range(repetitions + 1)
        ]
        for place, batch in enumerate(batches)
    }


def recorded_requests(count: int, world: int) -> list[Request]:
    """The last `count` requests of a run on this world, in which a script plays the roles: greedy, with schemas."""
    backend = ScriptedBackend(ScriptedMicroModel(slips=0.25))
    while len(backend.requests) < count:
        with TemporaryDirectory(prefix="ace-bench-") as folder:
            settings = micro_run(
                Path(folder) / "ace.db",
                {"seed": world, "train": 64, "validation": 0, "test": 1},
                models={"main": {"provider": "scripted", "model": "scripted"}},
                roles=greedy(),
                adaptation={"batch_size": 16},
                evaluation={"before": False, "after": False},
            )
            asyncio.run(run(settings, backends={"main": backend}))
    return [replace(request, schema=dict(request.schema or {}) or None) for request in backend.requests[-count:]]


def _command(
    requests: int,
    batches: Sequence[int],
    repetitions: int,
    seed: int,
    model: str,
    draft: str | None,
    compiled: bool,
) -> str:
    sizes = "".join(f" --batch {batch}" for batch in batches)
    models = (
        f" --model {model}" + (f" --draft {draft}" if draft else " --draft ''") + (" --compile" if compiled else "")
    )
    return f"ace bench speculative --requests {requests}{sizes} --repetitions {repetitions} --seed {seed}{models}"
