"""Signals of an answer's correctness, and the samples that may show their targets.

Without labels, targets decide nothing in the loop and stand in no prompt: no feedback, no retries by grade, no choice
among playbooks. Answers are still graded, for the report.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ace.config import RunSettings
from ace.types import Sample

NO_FEEDBACK = "There is none. Judge the answer by the question, the material given and the playbook."


@dataclass(frozen=True, slots=True)
class Signal:
    """`feedback` is for the reflector; `right` decides on retries, and is None where correctness is unknown."""

    feedback: str
    right: bool | None


def has_labels(settings: RunSettings) -> bool:
    """Return True if the loop may learn from targets."""
    return settings.adaptation.labels == "given"


def without_target(sample: Sample) -> Sample:
    """Remove the target of a sample, for prompts that must not contain it."""
    return replace(sample, target=None)


def permitted_samples(settings: RunSettings, samples: Sequence[Sample]) -> list[Sample]:
    """Return the samples with their targets if labels are given, else without."""
    return list(samples) if has_labels(settings) else [without_target(sample) for sample in samples]
