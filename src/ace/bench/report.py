"""Results of benchmarks, and their charts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import Field, asdict, dataclass
from typing import Any, ClassVar, Protocol


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars: `series` maps each series' name to one value for each of `names`, in the unit `axis`."""

    title: str
    axis: str
    names: tuple[str, ...]
    series: Mapping[str, tuple[float, ...]]


class Report(Protocol):
    """A measurement with what it was made on: a dataclass."""

    __slots__ = ()
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def to_json(self) -> dict[str, Any]:
        """Everything that was measured, as plain JSON values."""
        return asdict(self)

    def to_markdown(self) -> str:
        """The command, the machine, then tables."""

    def charts(self) -> tuple[Chart, ...]:
        """Charts, the most important first."""
        return ()


Partial = Callable[[Report], None]
"""Hears the report as far as it has got, after each mode: what is interrupted has still measured something."""


def ignore_partial(report: Report) -> None:
    """For measurements of which nobody wants to hear before the end."""
