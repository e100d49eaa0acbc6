"""Learning from clients' feedback: reflect on what they report, curate, and commit the next playbook version.

The store is the queue. Feedback is pending until a batch with its request as a sample is committed, so that a worker
that dies loses nothing and learns from nothing twice.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ace.config import RunSettings
from ace.engine.concurrency.blocking_pool import BlockingPool
from ace.engine.concurrency.task_groups import gather_all
from ace.engine.context import RunContext
from ace.engine.events import BatchCommitted, CurationFailed, Listener, null_listener
from ace.engine.feedback.feedback import NO_FEEDBACK
from ace.engine.learning.curation import Curator
from ace.engine.learning.sample_result import SampleResult
from ace.engine.run_inputs import load_inputs
from ace.engine.session import open_context, open_engines
from ace.errors import (
    ConfigError,
    InferenceError,
    PromptTooLongError,
    RequestRejectedError,
    RunLockedError,
    StoreError,
)
from ace.inference import Backends
from ace.playbook import Playbook, carried_out, create_embedder
from ace.roles import CallRecord, GeneratorAnswer, Reflection
from ace.store import BatchRecord, Exchange, Feedback, OutcomeRecord, RunStore
from ace.store.records import utcnow
from ace.tasks import InstructedTask, Splits, Task
from ace.tasks.data.graders import normalized
from ace.types import Sample, Score

RIGHT_SCORE = 0.5
"""The lowest score of a right answer, where the client reports a score alone."""
AUTO_SIZE = 16
"""Feedback in a batch with `batch_size: auto`."""
POLL_S = 2.0
FAILED_PAUSE_S = 30.0
"""Seconds between two tries where the engine or the store fails."""


@dataclass(frozen=True, slots=True)
class FeedbackTask:
    """The task of a run, for samples that come from clients: they bring their own question."""

    base: Task

    @property
    def name(self) -> str:
        return self.base.name

    @property
    def splits(self) -> Splits:
        return self.base.splits

    @property
    def instructions(self) -> str:
        return self.base.instructions if isinstance(self.base, InstructedTask) else ""

    def prompt(self, sample: Sample) -> tuple[str, str]:
        return sample.question, sample.context

    def grade(self, sample: Sample, answer: str) -> Score:
        value = normalized(answer, sample.target or "")
        return Score(value, value == 1.0, "right" if value == 1.0 else f"wrong: expected {sample.target}")


async def learn_from_feedback(
    settings: RunSettings,
    run: str,
    *,
    once: bool = False,
    wait_s: float = 60.0,
    listener: Listener = null_listener,
    backends: Backends | None = None,
) -> int:
    """Turn pending feedback on answers of `run` into playbook versions, and return the number of feedback used.

    Works until it is cancelled, or with `once` until nothing is pending. A batch has `adaptation.batch_size` feedback,
    or fewer where the oldest has waited for `wait_s` seconds. The roles, models and limits are those of `settings`.
    ConfigError for a run that is not finished, RunLockedError where another process owns it.
    """
    inputs = load_inputs(settings, playbook=Playbook.empty())
    inputs = replace(inputs, task=FeedbackTask(inputs.task))
    with RunStore.open(settings.store, create=False) as store:
        run = store.resolve(run)
        if (status := store.run(run).status) != "done":
            raise ConfigError.at("run", run, f"a run that is done; this one is {status}", hint=f"ace resume {run}")
        store.acquire(run, reopen=False)
        try:
            async with open_engines(settings, inputs, backends, store, listener) as bindings:
                with contextlib.closing(BlockingPool(inputs.task)) as pool:
                    embedder = create_embedder(settings.playbook.dedup)
                    context = open_context(
                        run, settings, inputs, store, bindings, embedder=embedder, blocking_pool=pool, listener=listener
                    )
                    try:
                        return await _work(context, once=once, wait_s=0.0 if once else wait_s)
                    finally:
                        context.calls.flush()
        finally:
            store.release(run)


async def _work(context: RunContext, *, once: bool, wait_s: float) -> int:
    """Learn batch by batch. Where the engine or the store fails, the batch is tried again after a pause."""
    learned = 0
    while True:
        try:
            batch = _next_batch(context, wait_s)
            if batch:
                await _learn_batch(context, batch)
                learned += len(batch)
                continue
        except (InferenceError, StoreError) as error:
            if once or isinstance(error, RunLockedError):
                raise
            context.listener(CurationFailed(-1, 0, f"{type(error).__name__}: {error}"))
            await asyncio.sleep(FAILED_PAUSE_S)
            continue
        if once:
            return learned
        await asyncio.sleep(POLL_S)


def _next_batch(context: RunContext, wait_s: float) -> Sequence[tuple[Exchange, Feedback]]:
    """Return the oldest pending feedback; nothing where it is less than a batch and has not waited long enough."""
    chosen = context.settings.adaptation.batch_size
    size = AUTO_SIZE if chosen == "auto" else chosen
    pending = context.store.pending_feedback(context.run, size)
    if len(pending) < size and pending and (utcnow() - pending[0][0].created).total_seconds() < wait_s:
        return ()
    return pending


async def _learn_batch(context: RunContext, batch: Sequence[tuple[Exchange, Feedback]]) -> None:
    """Reflect on the whole batch at once, then curate and commit it as any other batch."""
    started = utcnow()
    store, run = context.store, context.run
    last = store.last_batch(run)
    index = last.index + 1 if last else 0
    playbook = store.playbook(run)
    prefix = context.render(playbook)
    results = await gather_all(
        _reflect(context, prefix, index, position, exchange, feedback)
        for position, (exchange, feedback) in enumerate(batch)
    )
    curated = await Curator(context, playbook, results, batch=index).curate(prefix)
    record = BatchRecord(
        run=run,
        index=index,
        epoch=last.epoch if last else 0,
        outcomes=tuple(result.outcome for result in results),
        calls=tuple(call for result in results for call in result.calls) + curated.calls,
        delta=curated.delta,
        playbook=curated.playbook,
        skipped=curated.skipped,
        started=started,
        finished=utcnow(),
        errors=tuple(context.curation_errors.pop(index, ())),
    )
    await asyncio.to_thread(store.commit_batch, record)
    outcomes = record.outcomes
    context.listener(
        BatchCommitted(
            index=index,
            epoch=record.epoch,
            first_correct=sum(outcome.first_correct is True for outcome in outcomes),
            corrected=0,
            failed=sum(outcome.status == "failed" for outcome in outcomes),
            samples=len(outcomes),
            playbook_version=record.playbook.version,
            bullets=len(record.playbook),
            operations=carried_out(record.delta, record.skipped),
            skipped={},
        )
    )


async def _reflect(
    context: RunContext, prefix: str, batch: int, position: int, exchange: Exchange, feedback: Feedback
) -> SampleResult:
    """Reflect on one answer. A right one without a remark needs no reflection, and no model is called."""
    sample = Sample(exchange.request_id, exchange.question, feedback.expected)
    right = _is_right(exchange, feedback)
    value = feedback.score if feedback.score is not None else None if right is None else float(right)
    outcome = OutcomeRecord(
        sample.id, position, answer=exchange.answer, value=value, correct=right, first_correct=right, stop="no_signal"
    )
    if right and not feedback.text.strip():
        return SampleResult(sample, replace(outcome, stop="right"), (), first_answer=exchange.answer)
    calls: tuple[CallRecord, ...] = ()
    reflection: Reflection | None = None
    try:
        result = await context.roles.reflect(
            prefix,
            sample,
            GeneratorAnswer(final_answer=exchange.answer or "(no text)"),
            _describe(feedback, right),
            purpose=f"batch-{batch}",
            round=1,
            grade=value,
        )
        calls, reflection = result.calls, result.value
        error = None if reflection is not None else f"ParseError: {result.error}"
    except (PromptTooLongError, RequestRejectedError) as failure:  # any other error leaves the feedback pending
        error = f"{type(failure).__name__}: {failure}"
    if reflection is None:
        outcome = OutcomeRecord(sample.id, position, "failed", answer=exchange.answer, error=error, stop="error")
    reflections = () if reflection is None else (reflection,)
    return SampleResult(sample, outcome, calls, reflections, first_answer=exchange.answer)


def _is_right(exchange: Exchange, feedback: Feedback) -> bool | None:
    """Return the client's verdict, else one by its score or its expected answer; None where these do not say."""
    if feedback.correct is not None:
        return feedback.correct
    if feedback.score is not None:
        return feedback.score >= RIGHT_SCORE
    if feedback.expected is not None and normalized(exchange.answer, feedback.expected) == 1.0:
        return True
    return None


def _describe(feedback: Feedback, right: bool | None) -> str:
    """Put the feedback into words for the reflector, which sees the expected answer as the target."""
    verdict = {True: "The answer was reported as right.", False: "The answer was reported as wrong.", None: ""}[right]
    score = "" if feedback.score is None else f"It was given the score {feedback.score:g} of 1."
    return "\n".join(filter(None, (verdict, score, feedback.text.strip()))) or NO_FEEDBACK
