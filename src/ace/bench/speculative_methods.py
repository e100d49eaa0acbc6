"""Comparison of methods of speculative decoding: speed, acceptance, and equality of the greedy answers.

Every method answers the requests of a run - generator, reflector and curator behind a playbook that grows, guided by
their schemas - in a process of its own. Each repetition and batch size has requests of its own: history and suffix
decoding would otherwise find the very answers in their memory. Engine start is not in the times. What `auto` may choose
from then on is kept by `ace.inference.providers.vllm.speculation_verdicts`.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ace.bench.adaptation_runs.config_modes import MAIN, SMALL, ConfigSource
from ace.bench.hardware.isolated_process import isolated
from ace.bench.hardware.measured_machine import Machine
from ace.bench.markdown_tables import report, table
from ace.bench.report import Report
from ace.bench.speculative_requests import RoleRequest, Work, config_work, micro_work
from ace.config import ModelSettings, SpeculativeSettings
from ace.engine import RoleTokens
from ace.errors import ProviderMissingError
from ace.inference import Backend, create_backend
from ace.inference.model_files.hub import local_folder
from ace.inference.providers.vllm.speculation_verdicts import Measured, Verdict, keep_verdict
from ace.types import ROLES, RoleName, Usage

BATCHES = (1, 16)


@dataclass(frozen=True, slots=True)
class RoleAcceptance:
    """Speculation for one role's requests over all repetitions, or for all roles'.

    `acceptance_rate` and `accepted_length` are those of `ace.engine.RoleTokens`; `identical` says how many of `answers`
    are those without speculation.
    """

    acceptance_rate: float | None
    accepted_length: float | None
    identical: int
    answers: int

    def cells(self) -> tuple[str, ...]:
        """The cells of a table."""
        return (
            "-" if self.acceptance_rate is None else f"{self.acceptance_rate:.0%}",
            "-" if self.accepted_length is None else f"{self.accepted_length:.2f}",
            f"{self.identical} of {self.answers}",
        )


@dataclass(frozen=True, slots=True)
class SpeculativeRow:
    """One method at one batch size: medians over the repetitions; `ratio` is that of the tokens a second."""

    method: str
    batch: int
    seconds: float
    tokens_per_s: float
    ratio: float
    every: RoleAcceptance
    roles: Mapping[RoleName, RoleAcceptance]
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
        """Two tables, methods and roles, with the command and the machine above, and what `auto` makes of it below."""
        shares = ("drafts accepted", "tokens a draft", "same answers")
        methods = [
            (
                row.method,
                str(row.batch),
                f"{row.seconds:.2f}",
                f"{row.tokens_per_s:.1f}",
                f"{row.ratio:.2f}x",
                *row.every.cells(),
            )
            for row in self.rows
        ]
        roles = [
            (row.method, str(row.batch), role, *of_role.cells())
            for row in self.rows
            if row.method != "none"
            for role, of_role in row.roles.items()
        ]
        return report(
            self.command,
            self.machine,
            table(("method", "batch", "seconds (median)", "tokens/s", "against none", *shares), methods),
            *([table(("method", "batch", "role", *shares), roles)] if roles else []),
            *(f"{method} was not measured: {why}" for method, why in self.missing.items()),
            self.verdict,
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one request, and its tokens."""

    role: RoleName
    text: str
    usage: Usage


@dataclass(frozen=True, slots=True)
class Trial:
    """Results of one method at one batch size: one item of `seconds` and `answers` a repetition."""

    batch: int
    seconds: tuple[float, ...]
    answers: tuple[tuple[Answer, ...], ...]
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
    """Measure none and each method on the micro world, and keep the verdict for `speculative: auto`.

    Raises what starting vLLM raises.
    """
    batches = sorted(set(batches))
    settings = ModelSettings(provider="vllm", model=model, max_model_len=2048, compile=True if compiled else "auto")
    models = f" --model {model} --draft {draft or repr('')}" + (" --compile" if compiled else "")
    command = _command(f"--requests {requests}", batches, repetitions) + f" --seed {seed}{models}"
    return _measure_methods(settings, draft, micro_work(requests, batches, repetitions, seed), command, keep)


def measure_config_speculative(
    source: ConfigSource, *, requests: int, batches: Sequence[int], repetitions: int, keep: bool = True
) -> SpeculativeReport:
    """The same for a config's model `main`, on requests of its own run; its `small`, where there is one, drafts.

    ConfigError for a config that cannot be measured, and what starting vLLM raises.
    """
    batches = sorted(set(batches))
    settings = source.load()
    source.load_inputs()
    main = settings.models[MAIN].model_copy(update={"provider": "vllm", "speculative": SpeculativeSettings()})
    draft = settings.models[SMALL].model if SMALL in settings.models else None
    work = config_work(source, requests, batches, repetitions)
    command = _command(f"{source.options} --requests {requests}", batches, repetitions)
    return _measure_methods(main, draft, work, command, keep)


def _command(options: str, batches: Sequence[int], repetitions: int) -> str:
    sizes = "".join(f" --batch {batch}" for batch in batches)
    return f"ace bench speculative {options}{sizes} --repetitions {repetitions}"


def _measure_methods(
    settings: ModelSettings, draft: str | None, work: Work, command: str, keep: bool
) -> SpeculativeReport:
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
            Measured(method, row.batch, row.ratio, row.every.identical == row.every.answers)
            for method, row in measured
            if method.method != "none"
        ),
    )
    text = "Not kept for `speculative: auto`."
    if keep:
        keep_verdict(settings, local_folder(settings), verdict)
        chosen, why = verdict.choice(max(work))
        text = f"`speculative: auto` is {'off' if chosen.method == 'none' else chosen.method} from now on ({why})."
    return SpeculativeReport(tuple(row for _, row in measured), missing, text, command, here)


def measure_method(settings: ModelSettings, work: Work) -> list[Trial]:
    """Answer `work` with one engine, in this process."""
    return asyncio.run(measure_trials(create_backend(settings), work))


async def measure_trials(backend: Backend, work: Work) -> list[Trial]:
    """Answer the requests of each batch size: a warm-up that is not counted, then every repetition."""
    try:
        trials = []
        for batch, (warm_up, *repetitions) in work.items():
            await _answer(backend, warm_up, batch)
            measured = [await _answer(backend, requests, batch) for requests in repetitions]
            seconds, answers = zip(*measured, strict=True)
            trials.append(Trial(batch, seconds, answers, backend.info.start_s))
        return trials
    finally:
        await backend.close()


async def _answer(backend: Backend, requests: Sequence[RoleRequest], batch: int) -> tuple[float, tuple[Answer, ...]]:
    """Seconds and answers, with `batch` requests under way at once."""
    room = asyncio.Semaphore(batch)

    async def one(item: RoleRequest) -> Answer:
        async with room:
            completion = await backend.complete(item.request)
        return Answer(item.role, completion.text, completion.usage)

    started = time.perf_counter()
    answers = await asyncio.gather(*(one(item) for item in requests))
    return time.perf_counter() - started, tuple(answers)


def _methods(draft: str | None) -> list[SpeculativeSettings]:
    methods = [SpeculativeSettings(), SpeculativeSettings(method="ngram"), SpeculativeSettings(method="history")]
    if draft is not None:
        methods.append(SpeculativeSettings(method="draft", model=draft))
    return [*methods, SpeculativeSettings(method="suffix")]


def speculative_row(method: SpeculativeSettings, trial: Trial, base: Trial) -> SpeculativeRow:
    """One method at one batch size, against `base` without speculation."""
    pairs = [
        (mine, theirs.text)
        for ours, bases in zip(trial.answers, base.answers, strict=True)
        for mine, theirs in zip(ours, bases, strict=True)
    ]
    by_role = {role: [pair for pair in pairs if pair[0].role == role] for role in ROLES}
    return SpeculativeRow(
        method=method.method,
        batch=trial.batch,
        seconds=statistics.median(trial.seconds),
        tokens_per_s=_speed(trial),
        ratio=_speed(trial) / _speed(base),
        every=_acceptance(pairs),
        roles={role: _acceptance(of_role) for role, of_role in by_role.items() if of_role},
        start_s=trial.start_s,
    )


def _acceptance(pairs: Sequence[tuple[Answer, str]]) -> RoleAcceptance:
    """Acceptance over answers, each given with the text that is answered without speculation."""
    tokens = RoleTokens.of(sum((answer.usage for answer, _ in pairs), Usage()))
    identical = sum(answer.text == text for answer, text in pairs)
    return RoleAcceptance(tokens.acceptance_rate, tokens.accepted_length, identical, len(pairs))


def _speed(trial: Trial) -> float:
    """Generated tokens a second, the median over the repetitions."""
    return statistics.median(
        sum(answer.usage.completion_tokens for answer in answers) / seconds
        for answers, seconds in zip(trial.answers, trial.seconds, strict=True)
    )
