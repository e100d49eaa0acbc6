"""Evaluation of many variants of a playbook on the same samples, all of them in flight at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ace.config import RunSettings
from ace.engine.concurrency.task_groups import gather_all
from ace.engine.context import RunContext
from ace.engine.events import Listener, RunStarted, null_listener
from ace.engine.loop.evaluation import evaluate
from ace.engine.run_inputs import RunInputs
from ace.engine.session import Clock, run_session
from ace.engine.summary import RunSummary
from ace.inference import Backends
from ace.playbook import Playbook
from ace.types import Sample


@dataclass(frozen=True, slots=True)
class Variant:
    """A playbook to evaluate. `label` names its evaluation in the store."""

    label: str
    playbook: Playbook


async def probe(
    settings: RunSettings,
    inputs: RunInputs,
    variants: Sequence[Variant],
    samples: Sequence[Sample],
    *,
    split: str,
    listener: Listener = null_listener,
    resume: str | None = None,
    backends: Backends | None = None,
) -> RunSummary:
    """Record a run with one evaluation for each variant, each sample with the same seed in all of them.

    A resumed probe evaluates the variants that it lacks. Errors as in `ace.engine.run`.
    """

    async def work(context: RunContext, clock: Clock) -> None:
        context.listener(RunStarted(context.run, settings.mode, 0, 0, 0))
        committed = {evaluation.label for evaluation in context.store.evaluations(context.run)}
        with clock.measure("evaluate"):
            await gather_all(
                evaluate(
                    context,
                    variant.playbook,
                    samples,
                    label=variant.label,
                    split=split,
                    after_batch=None,
                    purpose="probe",
                )
                for variant in variants
                if variant.label not in committed
            )

    return await run_session(settings, inputs, work, listener=listener, resume=resume, backends=backends)
