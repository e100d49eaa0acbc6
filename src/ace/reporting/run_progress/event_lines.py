"""Events of a run, each in a line."""

from __future__ import annotations

from collections.abc import Mapping

from ace.engine.events import (
    BackendAdjusted,
    BatchCommitted,
    BudgetReached,
    BulletFlagged,
    CallFailed,
    CurationFailed,
    EngineReady,
    EngineStartDeferred,
    EvaluationFinished,
    Event,
    RunContinued,
    RunFinished,
    RunPaused,
    RunStarted,
    RunStopping,
    TrackerFailed,
)
from ace.engine.failures import failure_kind
from ace.reporting.run_progress.event_totals import Tally
from ace.reporting.text import UNKNOWN, by_type, percent, seconds

MOST_KINDS = 20
"""Kinds of failures that are shown when they first happen; the summary counts all of them."""


def describe(event: Event, tally: Tally) -> str | None:
    """Describe an event in one line. None for events that only move a bar."""
    match event:
        case EngineReady(provider, model, device, start_s, reason, memory):
            size = f", {memory / (1 << 30):.2f} GiB of weights and KV cache" if memory else ""
            why = f" ({reason})" if reason else ""
            return f"engine: {provider} with {model} on {device}, started in {seconds(start_s)}{size}{why}"
        case EngineStartDeferred(provider, model):
            return f"engine: {provider} with {model} starts with the first call that the completion cache cannot answer"
        case RunStarted(run, mode, samples, batches, resumed_at):
            resumed = f", resumed after batch {resumed_at}" if resumed_at else ""
            work = f", {samples} samples in {batches} batches" if batches else ""
            return f"run {run}: {mode}{work}{resumed}"
        case BatchCommitted(index, epoch, first, corrected, failed, samples, version, bullets, operations, skipped):
            failures = f", {failed} failed" if failed else ""
            mended = f", {corrected} after reflection" if corrected else ""
            speed = tally.tokens_per_s
            return (
                f"batch {index + 1}/{tally.batches} (epoch {epoch + 1}): {first}/{samples} right{mended}{failures}; "
                f"playbook v{version}, {bullets} bullets ({by_type(operations)}){_not_done(skipped)}; "
                f"{UNKNOWN if speed is None else f'{speed:.0f}'} tokens/s, "
                f"cache hits {percent(tally.cache_hit_rate)}, {seconds(tally.seconds_left)} left"
            )
        case EvaluationFinished(label, split, samples, correct, failed, accuracy, version):
            failures = f", {failed} failed" if failed else ""
            return f"{label}: {percent(accuracy)} ({correct}/{samples} of {split}{failures}) with playbook v{version}"
        case CallFailed(role, error):
            first = tally.failures[failure_kind(error)] == 1 and len(tally.failures) <= MOST_KINDS
            return f"{role} call failed: {error}" if first else None
        case BackendAdjusted(note):
            return f"note: {note}"
        case CurationFailed(batch, group, error):
            return f"batch {batch + 1}: the insights of curator group {group + 1} are lost: {error}"
        case BudgetReached(run, reason):
            return f"{reason}; nothing is lost: ace resume {run} --set budget.KEY=MORE"
        case BulletFlagged(batch, bullet, reasons, quarantined):
            fate = "is quarantined" if quarantined else "is in the playbook all the same"
            return f"batch {batch + 1}: guard: {bullet} {fate}: {'; '.join(reasons)}"
        case RunPaused(run):
            return f"run {run}: paused; it goes on when somebody says so"
        case RunContinued(run):
            return f"run {run}: goes on"
        case RunStopping(run):
            return f"run {run}: stopping, as somebody asked"
        case TrackerFailed(tracker, error, failures):
            times = f" ({failures} failures)" if failures > 1 else ""
            return f"tracker {tracker} failed{times}, the run goes on: {error}"
        case RunFinished(run, status):
            return f"run {run}: {status}"
        case _:
            return None


def describe_activity(tally: Tally) -> str:
    """Say in a line what runs, for how long, and how many calls the backends have."""
    parts = [f"{_activity(tally)}, for {seconds(tally.phase_s)}"]
    calls = ", ".join(f"{number} of the {role}" for role, number in sorted(tally.open_calls.items()) if number)
    parts.append(f"open calls: {calls or 'none'}")
    if (speed := tally.tokens_per_s) is not None:
        parts.append(f"{speed:.0f} tokens/s")
    if (left := tally.seconds_left) is not None and tally.batches_in_flight:
        parts.append(f"{seconds(left)} left")
    return "; ".join(parts)


def _activity(tally: Tally) -> str:
    if tally.paused:
        return "paused"
    if tally.evaluations:
        *others, last = tally.evaluations.values()
        more = f", and {len(others)} more evaluations" if others else ""
        return f"{last.label}: {last.done}/{last.samples} samples, {last.correct} right so far{more}"
    if tally.batches_in_flight:
        index, (finished, size) = next(iter(tally.batches_in_flight.items()))
        step = f"{finished}/{size} samples" if finished < size else "curation"
        return f"batch {index + 1}/{tally.batches}: {step}"
    return "between two steps" if tally.engines else "engine: starting"


def _not_done(skipped: Mapping[str, int]) -> str:
    """Number of operations that were not carried out, with the most frequent reasons."""
    if not skipped:
        return ""
    often = sorted(skipped.items(), key=lambda item: -item[1])[:3]
    reasons = "; ".join(f"{number} x {reason[:100]}" for reason, number in often)
    return f", {sum(skipped.values())} not carried out: {reasons}"
