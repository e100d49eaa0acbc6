"""Deltas: small, serialisable changes to a playbook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, get_args

from ace.errors import PlaybookError
from ace.playbook.bullet import Provenance
from ace.types import fields_of

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


@dataclass(frozen=True, slots=True)
class Quarantine:
    """A new bullet that no prompt shows, for `reasons`. Only the guard makes it, in the place of what was proposed."""

    type: ClassVar[str] = "QUARANTINE"
    section: str
    content: str
    reasons: tuple[str, ...]
    provenance: Provenance = field(default_factory=Provenance)


@dataclass(frozen=True, slots=True)
class Withhold:
    """Quarantine a live bullet under its id. Only people do this."""

    type: ClassVar[str] = "WITHHOLD"
    id: str
    reason: str = ""
    provenance: Provenance = field(default_factory=Provenance)


@dataclass(frozen=True, slots=True)
class Release:
    """Make a quarantined bullet live under its id, with new counters. Only people do this."""

    type: ClassVar[str] = "RELEASE"
    id: str
    reason: str = ""
    provenance: Provenance = field(default_factory=Provenance)


Operation = Add | Update | Merge | Remove | Tag | Quarantine | Withhold | Release
_KINDS: tuple[type[Operation], ...] = (Add, Update, Merge, Remove, Tag, Quarantine, Withhold, Release)
_TYPES: Mapping[str, type[Operation]] = {kind.type: kind for kind in _KINDS}


@dataclass(frozen=True, slots=True)
class Delta:
    """Operations in the order in which they are applied."""

    operations: tuple[Operation, ...] = ()

    def __len__(self) -> int:
        return len(self.operations)

    def to_json(self) -> dict[str, Any]:
        return {"operations": [_to_json(operation) for operation in self.operations]}

    @classmethod
    def from_json(cls, data: object) -> Delta:
        """The reverse of `to_json`. PlaybookError names the operation at fault."""
        items = data.get("operations") if isinstance(data, Mapping) else None
        if not isinstance(items, Sequence) or isinstance(items, str):
            raise PlaybookError("a delta is an object with a list `operations`")
        return cls(tuple(_operation(number, item) for number, item in enumerate(items)))


def _to_json(operation: Operation) -> dict[str, Any]:
    values = {"type": operation.type, **fields_of(operation)}
    return values if isinstance(operation, Tag) else {**values, "provenance": fields_of(operation.provenance)}


def _operation(number: int, item: object) -> Operation:
    if not isinstance(item, Mapping):
        raise PlaybookError(f"operation {number}: found {item!r}, allowed: an object with a `type`")
    values = dict(item)
    kind = _TYPES.get(str(values.pop("type", None)))
    if kind is None:
        raise PlaybookError(f"operation {number}: type {item.get('type')!r}, allowed: {', '.join(_TYPES)}")
    try:
        if values.get("section", "") is None:
            del values["section"]
        return kind(**{name: _checked(name, value) for name, value in values.items()})
    except (TypeError, ValueError) as error:
        raise PlaybookError(f"operation {number} ({kind.type}): {error}") from error


def _checked(name: str, value: Any) -> Any:
    """The value of the field `name`, of the type it must have."""
    match name:
        case "provenance":
            return Provenance(**value)
        case "ids" if isinstance(value, Sequence) and not isinstance(value, str):
            return tuple(_checked("id", identity) for identity in value)
        case "reasons" if isinstance(value, Sequence) and not isinstance(value, str):
            return tuple(_checked("reason", reason) for reason in value)
        case "tag" if value in get_args(TagName):
            return value
        case "count" if type(value) is int:
            return value
        case "id" | "content" | "reason" | "section" if isinstance(value, str):
            return value
    raise ValueError(f"{name}: found {value!r}")
