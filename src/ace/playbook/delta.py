"""Deltas: small, serialisable changes to a playbook. What they do is decided in `apply`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal

from ace.errors import PlaybookError
from ace.playbook.bullet import Provenance

TagName = Literal["helpful", "harmful", "neutral", "used"]


@dataclass(frozen=True, slots=True)
class Add:
    """A new bullet at the end of the playbook."""

    type: ClassVar[str] = "ADD"
    section: str
    content: str
    reason: str = ""
    provenance: Provenance = field(default_factory=Provenance)


@dataclass(frozen=True, slots=True)
class Update:
    """New words for a bullet; its id and counters stay."""

    type: ClassVar[str] = "UPDATE"
    id: str
    content: str
    reason: str = ""
    provenance: Provenance = field(default_factory=Provenance)


@dataclass(frozen=True, slots=True)
class Merge:
    """One new bullet in the place of several; it inherits the sum of their counters.

    `section` None means that of the first of `ids`.
    """

    type: ClassVar[str] = "MERGE"
    ids: tuple[str, ...]
    content: str
    section: str | None = None
    reason: str = ""
    provenance: Provenance = field(default_factory=Provenance)


@dataclass(frozen=True, slots=True)
class Remove:
    """Take a bullet out. Its id stays used up."""

    type: ClassVar[str] = "REMOVE"
    id: str
    reason: str = ""
    provenance: Provenance = field(default_factory=Provenance)


@dataclass(frozen=True, slots=True)
class Tag:
    """Count a bullet as helpful, harmful, neutral or used, `count` times."""

    type: ClassVar[str] = "TAG"
    id: str
    tag: TagName
    count: int = 1


Operation = Add | Update | Merge | Remove | Tag
_TYPES: Mapping[str, type[Operation]] = {kind.type: kind for kind in (Add, Update, Merge, Remove, Tag)}


@dataclass(frozen=True, slots=True)
class Delta:
    """Operations in the order in which they are applied."""

    operations: tuple[Operation, ...] = ()

    def __len__(self) -> int:
        return len(self.operations)

    def to_json(self) -> dict[str, Any]:
        return {"operations": [{"type": operation.type, **asdict(operation)} for operation in self.operations]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Delta:
        """The reverse of `to_json`. PlaybookError names the operation at fault."""
        return cls(tuple(_operation(number, item) for number, item in enumerate(data["operations"])))


def _operation(number: int, item: Mapping[str, Any]) -> Operation:
    values = dict(item)
    kind = _TYPES.get(str(values.pop("type", None)))
    if kind is None:
        raise PlaybookError(f"operation {number}: type {item.get('type')!r}, allowed: {', '.join(_TYPES)}")
    try:
        if "provenance" in values:
            values["provenance"] = Provenance(**values["provenance"])
        if "ids" in values:
            values["ids"] = tuple(values["ids"])
        return kind(**values)
    except TypeError as error:
        raise PlaybookError(f"operation {number} ({kind.type}): {error}") from error
