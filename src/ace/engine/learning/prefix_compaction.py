"""When a batch ends with a compaction of the prefix log: at the end of an epoch, never, or when it pays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ace.engine.context import RunContext
from ace.engine.feedback.signals import has_labels
from ace.engine.loop.schedule import BatchPlan
from ace.playbook import Playbook, WorkingSet, compaction_cost, pays_to_compact


@dataclass(frozen=True, slots=True)
class Compacted:
    """What a batch leaves. `window` is what the decision after the next one needs; it is committed with the batch."""

    playbook: Playbook
    compacted: bool
    window: Mapping[str, Any] = field(default_factory=dict)


def compact(
    context: RunContext, before: Playbook, after: Playbook, plan: BatchPlan, *, calls: int, shown: WorkingSet | None
) -> Compacted:
    """Compact `after`, to which `plan` led from `before` with so many `calls`, if it is time to.

    A rewritten playbook shares no prefix with the one before it, and holds no dead lines. `shown` is the working set.
    """
    if context.settings.adaptation.method == "rewrite":
        return Compacted(after.compacted(), True)
    match context.settings.playbook.compaction:
        case "epoch" if plan.ends_epoch:
            return Compacted(after.compacted(), True)
        case "auto":
            return _where_it_pays(context, before, after, plan, calls, shown)
        case _:
            return Compacted(after, False)


def _where_it_pays(
    context: RunContext, before: Playbook, after: Playbook, plan: BatchPlan, calls: int, shown: WorkingSet | None
) -> Compacted:
    """By the cost model. What it knows of earlier batches is what they committed: a resumed run decides the same."""
    price = context.settings.playbook.cached_token_cost
    last = context.store.last_batch(context.run)
    known = dict(last.window) if last else {}
    calls_so_far = known.get("calls", 0) + calls
    samples_so_far = known.get("samples", 0) + len(plan.samples)
    seen_before, seen_after = (shown.view(playbook) if shown else playbook for playbook in (before, after))
    carried = compaction_cost(seen_before, seen_before, context.count_tokens, context.pack.formats).dead
    cost = compaction_cost(seen_before, seen_after, context.count_tokens, context.pack.formats)
    paid = known.get("paid", 0.0) + price * carried * calls
    per_sample = calls_so_far / samples_so_far
    compacts = pays_to_compact(
        cost,
        paid=paid,
        next_calls=per_sample * min(len(plan.samples), plan.left),
        calls_ahead=per_sample * plan.left + _evaluated_ahead(context, plan),
        price=price,
    )
    window = {"calls": calls_so_far, "samples": samples_so_far, "paid": paid if cost.dead and not compacts else 0.0}
    return Compacted(after.compacted() if compacts else after, compacts, window)


def _evaluated_ahead(context: RunContext, plan: BatchPlan) -> int:
    """Calls of the evaluations that come after `plan`."""
    settings, splits = context.settings, context.task.splits
    ahead = len(splits.test) if settings.evaluation.after else 0
    if settings.mode != "online" and has_labels(settings) and settings.adaptation.validate_each_epoch:
        ahead += len(splits.validation) * (settings.adaptation.epochs - plan.epoch)
    return ahead
