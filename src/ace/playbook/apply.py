"""Application of deltas to a playbook, the only place that changes one. Pure, total and deterministic."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from ace.playbook.bullet import (
    BULLET_ID,
    LAST_NUMBER,
    SLUG,
    Bullet,
    Counters,
    QuarantinedBullet,
    bullet_id,
    clean_text,
    normalize_whitespace,
)
from ace.playbook.delta import (
    Add,
    Delta,
    Merge,
    Operation,
    Quarantine,
    Release,
    Remove,
    Tag,
    Update,
    Withhold,
)
from ace.playbook.playbook import Playbook, PrefixLine, Section
from ace.playbook.section_names import REST

_FIELDS: Final = {"helpful": "helpful", "harmful": "harmful", "neutral": "neutral", "used": "uses"}
"""Tags, and the counters that they raise."""


@dataclass(frozen=True, slots=True)
class AppliedOperation:
    """An operation that was carried out. `id` is the bullet it made or changed."""

    operation: Operation
    id: str


@dataclass(frozen=True, slots=True)
class SkippedOperation:
    """An operation that could not be carried out, and why."""

    operation: Operation
    reason: str


@dataclass(frozen=True, slots=True)
class Applied:
    """The new playbook, and what became of each operation."""

    playbook: Playbook
    done: tuple[AppliedOperation, ...]
    skipped: tuple[SkippedOperation, ...]


def apply(playbook: Playbook, delta: Delta) -> Applied:
    """Carry out `delta` in order. What cannot be done is skipped with its reason; nothing raises.

    The version rises by one if anything changed. Every change of a bullet appends to the prefix log; tags and what is
    quarantined do not. Skipped are: whatever names a bullet that is not live (a MERGE goes on without it while two are
    left), contents that are empty, an id alone, or what a live or quarantined bullet has word for word, sections that
    cannot be slugs, counts below 1, and new bullets once all numbers are used up. An unknown section is made, but not
    for a quarantined bullet: curators are shown the sections.
    """
    work = _Work(playbook)
    done: list[AppliedOperation] = []
    skipped: list[SkippedOperation] = []
    for operation in delta.operations:
        try:
            done.append(AppliedOperation(operation, work.carry_out(operation)))
        except _SkippedError as why:
            skipped.append(SkippedOperation(operation, str(why)))
    return Applied(work.playbook() if done else playbook, tuple(done), tuple(skipped))


def carried_out(delta: Delta, skipped: Iterable[SkippedOperation]) -> Counter[str]:
    """Count the operations of `delta` by type, without those in `skipped`."""
    counts = Counter(operation.type for operation in delta.operations)
    waiting = Counter(operation.operation for operation in skipped)
    for operation in delta.operations:
        if waiting[operation] > 0:
            waiting[operation] -= 1
            counts[operation.type] -= 1
    return +counts


class _SkippedError(Exception):
    """This operation cannot be carried out."""


class _Work:
    """The playbook in pieces that can be changed, for one delta."""

    def __init__(self, playbook: Playbook) -> None:
        self._from = playbook
        self._bullets = dict(playbook.by_id)
        self._sections = {section.slug: section for section in playbook.sections}
        self._lines: list[PrefixLine] = []
        self._next = playbook.next_number
        self._changed: defaultdict[str, dict[str, None]] = defaultdict(dict)  # ids by new content, in order
        self._quarantined = {bullet.id: bullet for bullet in playbook.quarantined}
        self._withheld = {normalize_whitespace(bullet.content): bullet.id for bullet in playbook.quarantined}

    def playbook(self) -> Playbook:
        """The next version."""
        return Playbook(
            version=self._from.version + 1,
            next_number=self._next,
            sections=tuple(self._sections.values()),
            bullets=tuple(self._bullets.values()),
            prefix=(*self._from.prefix, *self._lines),
            quarantined=tuple(self._quarantined.values()),
        )

    def carry_out(self, operation: Operation) -> str:
        match operation:
            case Add():
                content = self._fresh(operation.content)
                identity = self._identity(operation.section)
                return self._create(Bullet(identity, operation.section, content, created=operation.provenance))
            case Update():
                return self._update(operation)
            case Merge():
                return self._merge(operation)
            case Remove():
                self._drop(self._live(operation.id))
                return operation.id
            case Tag():
                return self._tag(operation)
            case Quarantine():
                return self._quarantine(operation)
            case Withhold():
                return self._withhold(operation)
            case Release():
                return self._release(operation)

    def _update(self, operation: Update) -> str:
        bullet = self._live(operation.id)
        content = self._fresh(operation.content)
        self._say(replace(bullet, content=content, updated=operation.provenance))
        self._lines.append(PrefixLine("updated", bullet.id, content))
        return bullet.id

    def _merge(self, operation: Merge) -> str:
        sources = [self._bullets[identity] for identity in dict.fromkeys(operation.ids) if identity in self._bullets]
        if len(sources) < 2:
            raise _SkippedError("a merge needs at least two bullets that are live")
        content = self._fresh(operation.content, besides={source.id for source in sources})
        section = operation.section or sources[0].section
        identity = self._identity(section)
        counters = sum((source.counters for source in sources), Counters())
        for source in sources:
            self._drop(source)
        return self._create(Bullet(identity, section, content, counters, operation.provenance))

    def _tag(self, operation: Tag) -> str:
        bullet = self._live(operation.id)
        if operation.count < 1:
            raise _SkippedError(f"count {operation.count} is not positive")
        field = _FIELDS.get(operation.tag)
        if field is None:
            raise _SkippedError(f"unknown tag {operation.tag!r}")
        counters = replace(bullet.counters, **{field: getattr(bullet.counters, field) + operation.count})
        self._bullets[bullet.id] = replace(bullet, counters=counters)
        return bullet.id

    def _quarantine(self, operation: Quarantine) -> str:
        content = self._fresh(operation.content)
        identity = self._number(operation.section)
        self._quarantined[identity] = QuarantinedBullet(
            identity, operation.section, content, operation.reasons, operation.provenance
        )
        self._withheld[normalize_whitespace(content)] = identity
        return identity

    def _withhold(self, operation: Withhold) -> str:
        bullet = self._live(operation.id)
        self._drop(bullet)
        reasons = (operation.reason,) if operation.reason else ()
        withheld = QuarantinedBullet(bullet.id, bullet.section, bullet.content, reasons, bullet.created)
        self._quarantined[bullet.id] = withheld
        self._withheld[normalize_whitespace(bullet.content)] = bullet.id
        return bullet.id

    def _release(self, operation: Release) -> str:
        withheld = self._quarantined.get(operation.id)
        if withheld is None:
            raise _SkippedError(f"no quarantined bullet {operation.id}")
        if same := next(self._repeats(withheld.content), None):
            raise _SkippedError(f"{same} says the same")
        del self._quarantined[withheld.id]
        self._withheld.pop(normalize_whitespace(withheld.content), None)
        self._make_section(withheld.section)
        return self._create(Bullet(withheld.id, withheld.section, withheld.content, created=withheld.created))

    def _live(self, identity: str) -> Bullet:
        bullet = self._bullets.get(identity)
        if bullet is None and identity in self._quarantined:
            raise _SkippedError(f"{identity} is quarantined")
        if bullet is None:
            raise _SkippedError(f"no live bullet {identity}")
        return bullet

    def _fresh(self, content: str, besides: Collection[str] = ()) -> str:
        """The content as bullets hold it, if it says something that no bullet but `besides` says already."""
        content = clean_text(content)
        if not content:
            raise _SkippedError("the content is empty")
        if BULLET_ID.fullmatch(content):
            raise _SkippedError("the content is an id alone")
        same = next((identity for identity in self._repeats(content) if identity not in besides), None)
        if same is not None:
            raise _SkippedError(f"{same} says the same")
        if withheld := self._withheld.get(normalize_whitespace(content)):
            raise _SkippedError(f"{withheld} says the same and is quarantined")
        return content

    def _identity(self, section: str) -> str:
        """The next id in `section`, which is made if there is none."""
        identity = self._number(section)
        self._make_section(section)
        return identity

    def _make_section(self, section: str) -> None:
        self._sections.setdefault(section, REST if section == REST.slug else Section(section, section))

    def _number(self, section: str) -> str:
        """The next id in `section`."""
        if not SLUG.fullmatch(section):
            raise _SkippedError(f"section {section!r} is not 2 to 6 letters a-z")
        if self._next > LAST_NUMBER:
            raise _SkippedError(f"all {LAST_NUMBER} bullet numbers are used up")
        self._next += 1
        return bullet_id(section, self._next - 1)

    def _create(self, bullet: Bullet) -> str:
        self._say(bullet)
        self._lines.append(PrefixLine("bullet", bullet.id, bullet.content))
        return bullet.id

    def _drop(self, bullet: Bullet) -> None:
        del self._bullets[bullet.id]
        self._lines.append(PrefixLine("removed", bullet.id, bullet.content))

    def _say(self, bullet: Bullet) -> None:
        self._bullets[bullet.id] = bullet
        self._changed[normalize_whitespace(bullet.content)][bullet.id] = None

    def _repeats(self, content: str) -> Iterator[str]:
        """The live bullets that say this, white space aside: two of one content can come from a file."""
        text = normalize_whitespace(content)
        candidates = (*self._from.ids_by_text.get(text, ()), *self._changed.get(text, ()))
        for identity in dict.fromkeys(candidates):
            bullet = self._bullets.get(identity)
            if bullet is not None and normalize_whitespace(bullet.content) == text:
                yield identity
