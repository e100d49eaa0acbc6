"""Search for the playbook versions that made a sample's answer wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

from ace.config import RunSettings
from ace.engine import Listener
from ace.engine.events import null_listener
from ace.engine.run_inputs import load_inputs
from ace.engine.variant_evaluation import Variant
from ace.errors import DataError
from ace.experiments.attribution import evaluate_variants, probe_settings
from ace.experiments.outcomes import evaluated
from ace.inference import Backends
from ace.playbook import PlaybookDiff, diff
from ace.store import OutcomeRecord, RunStore, VersionInfo
from ace.tasks import Task
from ace.types import Sample


@dataclass(frozen=True, slots=True)
class VersionAnswer:
    """The answer of one playbook version. `batch` led to the version; None for the first."""

    version: int
    batch: int | None
    outcome: OutcomeRecord


@dataclass(frozen=True, slots=True)
class Regression:
    """Two versions in a row, the first right and the second not, and the difference between them."""

    before: VersionAnswer
    after: VersionAnswer
    difference: PlaybookDiff


@dataclass(frozen=True, slots=True)
class History:
    """The answers to one sample, version by version. `regressions` are the versions that made it wrong."""

    sample: Sample
    answers: tuple[VersionAnswer, ...]
    regressions: tuple[Regression, ...]


async def trace_sample(
    settings: RunSettings,
    run: str,
    sample_id: str,
    *,
    listener: Listener = null_listener,
    backends: Backends | None = None,
) -> History:
    """Answer a sample with every version of `run`'s playbook, and find all regressions.

    All versions are in flight at once, which takes no longer than a binary search. DataError for an unknown sample.
    """
    with RunStore.open(settings.store, create=False) as store:
        steps: dict[int, VersionInfo] = {}
        for info in store.playbook_versions(run):
            steps.setdefault(info.version, info)  # a batch that changes nothing repeats its version
        playbooks = {version: store.playbook(run, version) for version in steps}
    settings = probe_settings(settings, f"bisect-{run}-{sample_id}")
    inputs = replace(load_inputs(settings), playbook=next(iter(playbooks.values())))
    sample, split = _find(inputs.task, sample_id)
    variants = [Variant(f"version {version}", playbook) for version, playbook in playbooks.items()]
    probed = await evaluate_variants(settings, inputs, variants, [sample], split, listener, backends)
    with RunStore.open(settings.store, create=False) as store:
        answers = tuple(
            VersionAnswer(version, info.batch, evaluated(store, probed, f"version {version}").outcomes[sample.id])
            for version, info in steps.items()
        )
    regressions = tuple(
        Regression(one, other, diff(playbooks[one.version], playbooks[other.version]))
        for one, other in pairwise(answers)
        if one.outcome.correct is True and other.outcome.correct is not True
    )
    return History(sample, answers, regressions)


def _find(task: Task, sample_id: str) -> tuple[Sample, str]:
    for split in ("train", "validation", "test"):
        for sample in getattr(task.splits, split):
            if sample.id == sample_id:
                return sample, split
    example = (*task.splits.test, *task.splits.validation, *task.splits.train)[0]  # a task without samples is refused
    raise DataError(f"no sample {sample_id!r} in task '{task.name}'; its ids look like {example.id!r}")
