"""A whole run: evaluate, adapt, evaluate.

Errors in settings, data, prompts and store are raised before an engine is loaded. Whatever ends the run, its commits
stay, and its engines are closed.
"""

from __future__ import annotations

from functools import partial

from ace.config import RunSettings
from ace.engine.context import RunContext
from ace.engine.events import Listener, RunStarted, null_listener
from ace.engine.loop.adaptation import adapt, ensure_evaluation, plan, retry_batches
from ace.engine.loop.failed_samples import retry_evaluations
from ace.engine.run_inputs import load_inputs
from ace.engine.session import Clock, run_session
from ace.engine.summary import RunSummary
from ace.engine.tracking.observers import observed
from ace.errors import ConfigError
from ace.inference import Backends
from ace.playbook import Playbook
from ace.tasks import Task


async def run(
    settings: RunSettings,
    *,
    listener: Listener = null_listener,
    resume: str | None = None,
    retry_failed: bool = False,
    backends: Backends | None = None,
    task: Task | None = None,
    playbook: Playbook | None = None,
) -> RunSummary:
    """Run `settings`, or resume the stored run `resume` that was made from them.

    `task` and `playbook` replace those of the settings. With `retry_failed` the samples that failed are retried: those
    of batches in further batches at the end, those of evaluations in their places. `backends` are used and left open;
    without them the settings' models are started and closed. Raises InterruptedRunError, after the run is marked as
    interrupted, on Ctrl-C, SIGTERM or cancellation.
    """
    if settings.mode == "probe":
        raise ConfigError.at(
            "mode", "probe", "offline, online or evaluate", hint="repeat the command that made the probe: it resumes it"
        )
    work = partial(_work, retry_failed=retry_failed)
    if resume is not None:
        playbook = Playbook.empty()  # the run's own is in the store, also where the file that it came from is gone
    async with observed(settings, listener) as observer:
        inputs = load_inputs(settings, task=task, playbook=playbook)
        return await run_session(settings, inputs, work, listener=observer, resume=resume, backends=backends)


async def _work(context: RunContext, clock: Clock, *, retry_failed: bool) -> None:
    """Evaluate the first playbook, adapt, evaluate the best one, and retry failed samples."""
    store, settings = context.store, context.settings
    plans = plan(context)
    done = store.last_batch(context.run)
    resumed_at = done.index + 1 if done else 0
    context.listener(RunStarted(context.run, settings.mode, sum(len(p.samples) for p in plans), len(plans), resumed_at))
    first = store.playbook(context.run, store.playbook_versions(context.run)[0].version)
    with clock.measure("evaluate"):
        if settings.evaluation.before and plans:
            await _evaluate_test_split(context, first, "before", None)
    with clock.measure("adapt"):
        version = await adapt(context, plans)
        if retry_failed:
            version = await retry_batches(context)
    with clock.measure("evaluate"):
        if retry_failed:
            await retry_evaluations(context, version)
        if settings.evaluation.after and not _is_evaluated(context, version):
            last = store.last_batch(context.run)
            await _evaluate_test_split(
                context, store.playbook(context.run, version), "after", last.index if last else None
            )


def _is_evaluated(context: RunContext, version: int) -> bool:
    """Return True if the test split was evaluated with this playbook, after any batch."""
    evaluations = context.store.evaluations(context.run)
    return any(evaluation.label == "after" and evaluation.playbook_version == version for evaluation in evaluations)


async def _evaluate_test_split(context: RunContext, playbook: Playbook, label: str, after_batch: int | None) -> None:
    """Evaluate on the test split, if there is one."""
    if samples := context.task.splits.test:
        await ensure_evaluation(context, playbook, samples, label=label, split="test", after_batch=after_batch)
