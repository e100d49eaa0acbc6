"""The batches of one epoch: one after the other, or overlapping by one.

The result of a batch depends on the settings alone, never on the order in which samples finish. With `pipeline: 1` its
samples run with the playbook of the batch before the previous one (with 0, of the previous one). It is curated after
the previous batch, and applied to the newest playbook. The first two batches of an epoch both start from its first
version.

A batch is committed while the samples of the next one run. The commit is done before the next batch is curated, and
before the epoch ends.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from ace.engine.concurrency.admission_window import Window
from ace.engine.concurrency.task_groups import task_group
from ace.engine.context import RunContext
from ace.engine.loop.batch import AnsweredSamples, finish_batch, run_samples
from ace.engine.loop.commit_queue import CommitQueue
from ace.engine.loop.schedule import BatchPlan
from ace.playbook import Playbook


@dataclass(frozen=True, slots=True)
class _InFlight:
    plan: BatchPlan
    samples: asyncio.Task[AnsweredSamples]


async def run_epoch(context: RunContext, playbook: Playbook, epoch: Sequence[BatchPlan], done: int) -> Playbook:
    """Run the batches of `epoch` after index `done`, starting from the newest `playbook`, and return the last playbook.

    Each batch is one transaction, committed in order. An error or a cancellation abandons the batches whose commit has
    not started. No commit is in flight when the epoch ends.
    """
    ahead = context.settings.adaptation.pipeline
    remaining = [plan for plan in epoch if plan.index > done]
    prompted = _first_prompted(context, playbook, epoch, remaining, ahead)
    window, commits = Window(), CommitQueue(context)
    in_flight: deque[_InFlight] = deque()
    async with commits, task_group() as group:
        for plan in remaining:
            samples = run_samples(context, prompted, plan, window, width=_width(epoch, plan, ahead))
            in_flight.append(_InFlight(plan, group.create_task(samples)))
            if len(in_flight) > ahead:
                playbook = await _finish(context, playbook, in_flight.popleft(), commits, group)
            prompted = playbook
        for batch in in_flight:
            playbook = await _finish(context, playbook, batch, commits, group)
    return playbook


async def _finish(
    context: RunContext, playbook: Playbook, batch: _InFlight, commits: CommitQueue, group: asyncio.TaskGroup
) -> Playbook:
    """Curate `batch` when the previous one is committed, and start its commit."""
    answered = await batch.samples
    await commits.wait()
    result = await finish_batch(context, playbook, batch.plan, answered)
    commits.start(result, group)
    return result.record.playbook


def _first_prompted(
    context: RunContext, newest: Playbook, epoch: Sequence[BatchPlan], remaining: Sequence[BatchPlan], ahead: int
) -> Playbook:
    """The playbook in the prompts of the first remaining batch, the same as in an epoch without interruption."""
    after = max(epoch[0].index, remaining[0].index - ahead) - 1
    return newest if after == remaining[0].index - 1 else context.store.playbook_after(context.run, after)


def _width(epoch: Sequence[BatchPlan], plan: BatchPlan, ahead: int) -> int:
    """Samples that may be in flight when one of `plan` starts: the size of the largest batch in flight with it."""
    together = [other for other in epoch if 0 <= plan.index - other.index <= ahead]
    return max(len(other.samples) for other in together)
