"""The result of one sample, which its batch learns from."""

from __future__ import annotations

from dataclasses import dataclass

from ace.roles import CallRecord, Reflection
from ace.store.records import OutcomeRecord
from ace.types import Sample


@dataclass(frozen=True, slots=True)
class SampleResult:
    """Outcome and calls of one sample, and the material for the batch's delta.

    `reflections` are those that were parsed, one a round; `used` are the bullets that the first answer cites.
    """

    sample: Sample
    outcome: OutcomeRecord
    calls: tuple[CallRecord, ...]
    reflections: tuple[Reflection, ...] = ()
    used: tuple[str, ...] = ()
    first_answer: str = ""
