"""Selection of the bullets in prompts where the playbook is larger than `playbook.working_set`.

A set follows from a committed playbook and the epoch's questions alone, so that a resumed run shows the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from ace.engine.context import RunContext
from ace.engine.loop.schedule import BatchPlan
from ace.playbook import Playbook, WorkingSet, retrieve
from ace.types import Sample


def select_epoch_bullets(context: RunContext, playbook: Playbook, plan: BatchPlan) -> Playbook:
    """Select the bullets for the prompts of `plan`: the set of its epoch, and all bullets added since its start.

    Online, the questions of the stream are not known yet, so that the set depends on the bullets' counters alone.
    """
    if context.settings.playbook.working_set is None:
        return playbook
    if plan.epoch_start not in context.working_sets:
        store, run = context.store, context.run
        if plan.epoch_start:
            initial = store.playbook_after(run, plan.epoch_start - 1)
        else:
            initial = store.playbook(run, store.playbook_versions(run)[0].version)
        samples = () if context.settings.mode == "online" else context.task.splits.train
        context.working_sets[plan.epoch_start] = _retrieve(context, initial, samples)
    return context.working_sets[plan.epoch_start].view(playbook)


def select_bullets(context: RunContext, playbook: Playbook, samples: Sequence[Sample]) -> Playbook:
    """Select the bullets for the prompts of an evaluation of `playbook` on `samples`."""
    if context.settings.playbook.working_set is None:
        return playbook
    return _retrieve(context, playbook, samples).view(playbook)


def _retrieve(context: RunContext, playbook: Playbook, samples: Sequence[Sample]) -> WorkingSet:
    settings = context.settings.playbook.working_set
    assert settings is not None
    return retrieve(
        playbook,
        [sample.question for sample in samples],
        context.embedder,
        tokens=settings.tokens,
        count_tokens=context.count_tokens,
        formats=context.pack.formats,
    )
