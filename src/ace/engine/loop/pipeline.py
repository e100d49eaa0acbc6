"""The batches of one epoch, in order: one after the other, or each while the last samples of the one before reflect.

What a batch leads to depends on the settings alone, never on which sample was faster: its samples work behind the
playbook version that the batch before the last one led to (`pipeline: 1`; the last one with 0), and it is curated and
applied to the newest one when its turn has come. The first two batches of an epoch both begin from the version that
the epoch began with.

A batch is on its way to the disk while the samples of the next one already work; it has arrived before that one is
concluded, and before the epoch ends.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from ace.engine.concurrency.admission_window import Window
from ace.engine.concurrency.commit_queue import CommitQueue
from ace.engine.concurrency.task_groups import task_group
from ace.engine.context import RunContext
from ace.engine.loop.batch import SamplesDone, finish_batch, run_samples
from ace.engine.loop.schedule import BatchPlan
from ace.playbook import Playbook


@dataclass(frozen=True, slots=True)
class _UnderWay:
    plan: BatchPlan
    samples: asyncio.Task[SamplesDone]


async def run_epoch(context: RunContext, playbook: Playbook, epoch: Sequence[BatchPlan], done: int) -> Playbook:
    """Work off the batches of `epoch` after index `done`, and return the playbook that they lead to.

    `playbook` is the newest one. Each batch is one transaction, committed in order; an error or a cancellation abandons
    those whose commit has not begun. Whatever ends the epoch, no commit is under way any more then.
    """
    ahead = context.settings.adaptation.pipeline
    owed = [plan for plan in epoch if plan.index > done]
    seen = _seen_by_first(context, playbook, epoch, owed, ahead)
    window, commits = Window(), CommitQueue(context)
    under_way: deque[_UnderWay] = deque()
    async with commits, task_group() as group:
        for plan in owed:
            samples = run_samples(context, seen, plan, window, width=_width(epoch, plan, ahead))
            under_way.append(_UnderWay(plan, group.create_task(samples)))
            if len(under_way) > ahead:
                playbook = await _finish(context, playbook, under_way.popleft(), commits, group)
            seen = playbook
        for batch in under_way:
            playbook = await _finish(context, playbook, batch, commits, group)
    return playbook


async def _finish(
    context: RunContext, playbook: Playbook, batch: _UnderWay, commits: CommitQueue, group: asyncio.TaskGroup
) -> Playbook:
    """Conclude `batch` when the one before it is in the store, and begin its commit."""
    done = await batch.samples
    await commits.arrived()
    concluded = await finish_batch(context, playbook, batch.plan, done)
    commits.begin(concluded, group)
    return concluded.record.playbook


def _seen_by_first(
    context: RunContext, newest: Playbook, epoch: Sequence[BatchPlan], owed: Sequence[BatchPlan], ahead: int
) -> Playbook:
    """What the first owed batch works behind: in an epoch that was broken off, what it would have seen then."""
    after = max(epoch[0].index, owed[0].index - ahead) - 1
    return newest if after == owed[0].index - 1 else context.store.playbook_after(context.run, after)


def _width(epoch: Sequence[BatchPlan], plan: BatchPlan, ahead: int) -> int:
    """How many samples may be under way when one of `plan` begins: as many as a batch of these has."""
    together = [other for other in epoch if 0 <= plan.index - other.index <= ahead]
    return max(len(other.samples) for other in together)
