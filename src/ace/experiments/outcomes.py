"""Scores of an evaluation, sample by sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ace.errors import RunNotFoundError
from ace.store import OutcomeRecord, RunReader


@dataclass(frozen=True, slots=True)
class EvaluatedRun:
    """One evaluation: outcomes by sample id, in order."""

    run: str
    label: str
    split: str
    playbook_version: int
    outcomes: Mapping[str, OutcomeRecord]

    @property
    def failed(self) -> int:
        return sum(outcome.status == "failed" for outcome in self.outcomes.values())


def right(outcome: OutcomeRecord) -> float:
    """1 for a right answer; a failed sample is not right."""
    return float(outcome.correct is True)


def score(outcome: OutcomeRecord) -> float:
    """The grade in [0, 1]; that of a failed sample is 0."""
    return outcome.value or 0.0


def evaluated(store: RunReader, run: str, label: str = "after") -> EvaluatedRun:
    """Read the last evaluation of `run` with this label. RunNotFoundError names the labels of the run."""
    evaluations = store.evaluations(run)
    matching = [evaluation for evaluation in evaluations if evaluation.label == label]
    if not matching:
        labels = ", ".join(dict.fromkeys(evaluation.label for evaluation in evaluations)) or "none"
        raise RunNotFoundError(f"run {run} has no evaluation '{label}'; it has {labels}", run=run)
    last = matching[-1]
    outcomes = store.outcomes(run, evaluation=last.index)
    return EvaluatedRun(run, label, last.split, last.playbook_version, {o.sample_id: o for o in outcomes})
