"""Which bullets prompts show where the playbook is larger than `playbook.working_set`.

A set follows from a committed playbook and the epoch's questions alone, so that a resumed run shows the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from ace.engine.context import RunContext
from ace.engine.loop.schedule import BatchPlan
from ace.playbook import Playbook, WorkingSet, retrieve
from ace.types import Sample


def select_epoch_bullets(context: RunContext, playbook: Playbook, plan: BatchPlan) -> Playbook:
    """What the prompts of `plan` show of `playbook`: the set of its epoch, and all that was added since it began.

    Online, the questions of the stream are not known yet: the set then goes by the bullets' record alone.
    """
    if context.settings.playbook.working_set is None:
        return playbook
    if plan.begins not in context.working_sets:
        store, run = context.store, context.run
        if plan.begins:
            begun = store.playbook_after(run, plan.begins - 1)
        else:
            begun = store.playbook(run, store.playbook_versions(run)[0].version)
        known = () if context.settings.mode == "online" else context.task.splits.train
        context.working_sets[plan.begins] = _retrieve(context, begun, known)
    return context.working_sets[plan.begins].view(playbook)


def select_bullets(context: RunContext, playbook: Playbook, samples: Sequence[Sample]) -> Playbook:
    """What an evaluation of `playbook` on `samples` shows of it."""
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
