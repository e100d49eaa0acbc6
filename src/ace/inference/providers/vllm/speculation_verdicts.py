"""Verdicts of `ace bench speculative` on a model on this machine, stored for `speculative: auto`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ace.config import ModelSettings, SpeculativeSettings
from ace.inference.measurement_cache import keep_measurement, read_measurement

GAIN = 1.05
"""What counts as a gain, as a ratio of speeds: less is within what a repetition differs by."""

_FILE = "speculative.json"


@dataclass(frozen=True, slots=True)
class Measured:
    """One method at one batch size: its speed over that without speculation, and whether the answers were the same."""

    method: SpeculativeSettings
    batch: int
    ratio: float
    identical: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """Everything that was measured for one model, and the day (UTC)."""

    date: str
    measured: tuple[Measured, ...]

    def choice(self, concurrency: int) -> tuple[SpeculativeSettings, str]:
        """The method with the best least gain over the batch sizes up to `concurrency`, off where none gains at each.

        A method whose answers differed at any batch size is no choice. Second, why, in words, with such differences.
        """
        sizes = [one.batch for one in self.measured]
        counted = [one for one in self.measured if one.batch <= max(concurrency, min(sizes, default=0))]
        best, least = SpeculativeSettings(), GAIN
        for method in dict.fromkeys(one.method.model_dump_json() for one in counted):
            rows = [one for one in counted if one.method.model_dump_json() == method]
            same = all(one.identical for one in self.measured if one.method.model_dump_json() == method)
            if same and (ratio := min(one.ratio for one in rows)) > least:
                best, least = rows[0].method, ratio
        ratios = ", ".join(
            f"{one.method.method} {one.ratio:.2f}x at batch {one.batch}{'' if one.identical else ' with other answers'}"
            for one in self.measured
            if (one in counted or not one.identical) and best.method in ("none", one.method.method)
        )
        return best, f"measured {self.date}: {ratios}"


def find_verdict(settings: ModelSettings, path: str) -> Verdict | None:
    """The stored verdict on this model on this machine; None where there is none, or where it cannot be read."""
    return _verdict(read_measurement(_FILE, settings, path))


def keep_verdict(settings: ModelSettings, path: str, verdict: Verdict) -> Path:
    """Put `verdict` beside those of other models and machines. The file that it stands in; StoreError."""
    measured = [{**asdict(one), "method": one.method.model_dump(exclude_none=True)} for one in verdict.measured]
    return keep_measurement(_FILE, settings, path, {"date": verdict.date, "measured": measured})


def _verdict(stored: Any) -> Verdict | None:
    try:
        measured = tuple(
            Measured(
                SpeculativeSettings.model_validate(one["method"]),
                int(one["batch"]),
                float(one["ratio"]),
                one["identical"] is True,
            )
            for one in stored["measured"]
        )
        return Verdict(str(stored["date"]), measured)
    except (KeyError, TypeError, ValueError, ValidationError):
        return None
