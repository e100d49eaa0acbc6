"""Compaction of the prefix log after a batch: at the end of an epoch, never, or when it pays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ace.engine.context import RunContext
from ace.engine.loop.schedule import BatchPlan
from ace.playbook import Playbook, WorkingSet, compaction_cost, pays_to_compact


@dataclass(frozen=True, slots=True)
class Compacted:
    """The playbook after a batch. `window` is the state for the next decision; it is committed with the batch."""

    playbook: Playbook
    compacted: bool
    window: Mapping[str, Any] = field(default_factory=dict)


def compact(
    context: RunContext,
    before: Playbook,
    after: Playbook,
    plan: BatchPlan,
    *,
    calls: int,
    part: WorkingSet | None,
) -> Compacted:
    """Compact `after`, the result of `plan` on `before` with so many `calls`, if the settings say so.

    `part` is the working set that prompts show. A rewritten playbook is always compacted: it shares no prefix with the
    previous one.
    """
    if context.settings.adaptation.method == "rewrite":
        return Compacted(after.compacted(), True)
    match context.settings.playbook.compaction:
        case "epoch" if plan.ends_epoch:
            return Compacted(after.compacted(), True)
        case "auto":
            return _compact_if_it_pays(context, before, after, plan, calls, part)
        case _:
            return Compacted(after, False)


def _compact_if_it_pays(
    context: RunContext, before: Playbook, after: Playbook, plan: BatchPlan, calls: int, part: WorkingSet | None
) -> Compacted:
    """Compact if the cost model says so. It uses committed state alone, so that a resumed run decides the same."""
    price = context.settings.playbook.cached_token_cost
    last = context.store.last_batch(context.run)
    state = dict(last.window) if last else {}
    calls_so_far = state.get("calls", 0) + calls
    samples_so_far = state.get("samples", 0) + len(plan.samples)
    prompt_before, prompt_after = (part.view(playbook) if part else playbook for playbook in (before, after))
    carried = compaction_cost(prompt_before, prompt_before, context.count_tokens, context.pack.formats).dead
    cost = compaction_cost(prompt_before, prompt_after, context.count_tokens, context.pack.formats)
    paid = state.get("paid", 0.0) + price * carried * calls
    per_sample = calls_so_far / samples_so_far
    compacts = pays_to_compact(
        cost,
        paid=paid,
        next_calls=per_sample * min(len(plan.samples), plan.samples_after),
        calls_ahead=per_sample * plan.samples_after + _evaluation_calls_ahead(context, plan),
        price=price,
    )
    window = {"calls": calls_so_far, "samples": samples_so_far, "paid": paid if cost.dead and not compacts else 0.0}
    return Compacted(after.compacted() if compacts else after, compacts, window)


def _evaluation_calls_ahead(context: RunContext, plan: BatchPlan) -> int:
    """Calls of the evaluations that come after `plan`."""
    settings, splits = context.settings, context.task.splits
    ahead = len(splits.test) if settings.evaluation.after else 0
    if settings.mode != "online" and settings.adaptation.has_labels and settings.adaptation.validate_each_epoch:
        ahead += len(splits.validation) * (settings.adaptation.epochs - plan.epoch)
    return ahead
