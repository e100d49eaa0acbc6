"""What every benchmark gives back, and how it may be drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable


class Report(Protocol):
    """A measurement with what it was made on."""

    def to_json(self) -> dict[str, Any]:
        """Everything that was measured, as plain JSON values."""

    def to_markdown(self) -> str:
        """The command, the machine, then tables."""


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars: `series` maps each series' name to one value for each of `names`, in the unit `axis`."""

    title: str
    axis: str
    names: tuple[str, ...]
    series: Mapping[str, tuple[float, ...]]


@runtime_checkable
class Charted(Protocol):
    """A report that can be drawn."""

    def charts(self) -> tuple[Chart, ...]:
        """Its charts, the most important one first."""


Partial = Callable[[Report], None]
"""Hears the report as far as it has got, after each mode: what is interrupted has still measured something."""


def unheard(report: Report) -> None:
    """For measurements of which nobody wants to hear before the end."""
