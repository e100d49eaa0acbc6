"""Reuse of stored runs: completed and resumable runs of the same settings, task data, prompts and first playbook."""

from __future__ import annotations

from ace.config import RunSettings
from ace.engine.run_inputs import RunInputs
from ace.store import Run, RunStore


def find_completed(settings: RunSettings, inputs: RunInputs) -> Run | None:
    """Find the newest completed run of these settings and inputs.

    A run that its budget ended counts as completed while the budget is the same.
    """
    budget = settings.budget.model_dump(mode="json")
    for run in _runs_of(settings, inputs):
        ended = run.status == "done" or (run.status == "budget" and run.settings.get("budget") == budget)
        if ended and run.summary is not None:
            return run
    return None


def find_resumable(settings: RunSettings, inputs: RunInputs) -> str | None:
    """Find the newest run of these settings and inputs that stopped and has no owner, and return its id."""
    stopped = ("interrupted", "failed", "budget")
    return next((run.id for run in _runs_of(settings, inputs) if run.status in stopped or run.abandoned), None)


def _runs_of(settings: RunSettings, inputs: RunInputs) -> tuple[Run, ...]:
    with RunStore.open(settings.store) as store:
        return tuple(
            run
            for run in store.runs_of(settings.digest)
            if (run.task_digest, run.pack_digest) == (inputs.task_digest, inputs.pack.digest)
            and store.playbook_versions(run.id)[0].digest == inputs.playbook.digest
        )
