"""What the loop may hear of an answer: its grade; without labels, what the task itself observes, or nothing.

Without labels nothing that came from a target steers the loop or stands in a prompt: no feedback, no retry until the
grade is right, no choice among playbooks. The answers are graded all the same, for the report.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ace.config import RunSettings
from ace.types import Sample

NO_FEEDBACK = "There is none. Judge the answer by the question, the material given and the playbook."


@dataclass(frozen=True, slots=True)
class Signal:
    """`feedback` is for the reflector; `right` decides on retries, and is None where nothing tells."""

    feedback: str
    right: bool | None


def has_labels(settings: RunSettings) -> bool:
    """Whether the loop may learn from targets."""
    return settings.adaptation.labels == "given"


def without_target(sample: Sample) -> Sample:
    """The sample as whoever must not know the answer sees it."""
    return replace(sample, target=None)


def shown(settings: RunSettings, samples: Sequence[Sample]) -> list[Sample]:
    """The samples as the loop sees them after the answer: with their targets only where labels are given."""
    return list(samples) if has_labels(settings) else [without_target(sample) for sample in samples]
