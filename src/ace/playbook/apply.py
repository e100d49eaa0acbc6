"""`apply`: the one place where a delta changes a playbook. Pure, total and deterministic."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ace.playbook.bullet import LAST_NUMBER, SLUG, Bullet, Counters, bullet_id
from ace.playbook.delta import Add, Delta, Merge, Operation, Remove, Tag, Update
from ace.playbook.playbook import Playbook, PrefixLine, Section


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

    The version rises by one if anything changed. Every change of a bullet appends to the prefix log; tags do not.
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


class _SkippedError(Exception):
    """This operation cannot be carried out."""


class _Work:
    """The playbook in pieces that can be changed, for one delta."""

    def __init__(self, playbook: Playbook) -> None:
        self._from = playbook
        self._bullets = dict(playbook.by_id)
        self._sections = list(playbook.sections)
        self._lines: list[PrefixLine] = []
        self._next = playbook.next_number
        self._contents = {_key(bullet.content): bullet.id for bullet in playbook.bullets}

    def playbook(self) -> Playbook:
        return Playbook(
            version=self._from.version + 1,
            next_number=self._next,
            sections=tuple(self._sections),
            bullets=tuple(self._bullets.values()),
            prefix=(*self._from.prefix, *self._lines),
        )

    def carry_out(self, operation: Operation) -> str:
        match operation:
            case Add():
                self._fresh(operation.content)
                section = self._section(operation.section)
                return self._create(
                    Bullet(self._identity(section), section, operation.content, created=operation.provenance)
                )
            case Update():
                return self._update(operation)
            case Merge():
                return self._merge(operation)
            case Remove():
                self._drop(self._live(operation.id))
                return operation.id
            case Tag():
                return self._tag(operation)

    def _update(self, operation: Update) -> str:
        held = self._live(operation.id)
        self._fresh(operation.content)
        self._contents.pop(_key(held.content), None)
        self._contents[_key(operation.content)] = held.id
        self._bullets[held.id] = replace(held, content=operation.content, updated=operation.provenance)
        self._lines.append(PrefixLine("updated", held.id, operation.content))
        return held.id

    def _merge(self, operation: Merge) -> str:
        sources = [self._live(identity) for identity in dict.fromkeys(operation.ids)]
        if len(sources) < 2:
            raise _SkippedError("a merge needs at least two bullets")
        self._fresh(operation.content, besides={source.id for source in sources})
        section = self._section(operation.section or sources[0].section)
        identity = self._identity(section)
        counters = sum((source.counters for source in sources), Counters())
        for source in sources:
            self._drop(source)
        return self._create(Bullet(identity, section, operation.content, counters, operation.provenance))

    def _tag(self, operation: Tag) -> str:
        held = self._live(operation.id)
        if operation.count < 1:
            raise _SkippedError(f"count {operation.count} is not positive")
        field = "uses" if operation.tag == "used" else operation.tag
        if not hasattr(held.counters, field):
            raise _SkippedError(f"unknown tag {operation.tag!r}")
        counters = replace(held.counters, **{field: getattr(held.counters, field) + operation.count})
        self._bullets[held.id] = replace(held, counters=counters)
        return held.id

    def _live(self, identity: str) -> Bullet:
        held = self._bullets.get(identity)
        if held is None:
            raise _SkippedError(f"no live bullet {identity}")
        return held

    def _fresh(self, content: str, besides: frozenset[str] | set[str] = frozenset()) -> None:
        if not content.strip():
            raise _SkippedError("the content is empty")
        same = self._contents.get(_key(content))
        if same is not None and same not in besides:
            raise _SkippedError(f"{same} says the same")

    def _section(self, slug: str) -> str:
        if not SLUG.fullmatch(slug):
            raise _SkippedError(f"section {slug!r} is not 2 to 6 letters a-z")
        if all(section.slug != slug for section in self._sections):
            self._sections.append(Section(slug, slug))
        return slug

    def _identity(self, section: str) -> str:
        if self._next > LAST_NUMBER:
            raise _SkippedError(f"all {LAST_NUMBER} bullet numbers are used up")
        self._next += 1
        return bullet_id(section, self._next - 1)

    def _create(self, bullet: Bullet) -> str:
        self._bullets[bullet.id] = bullet
        self._contents[_key(bullet.content)] = bullet.id
        self._lines.append(PrefixLine("bullet", bullet.id, bullet.content))
        return bullet.id

    def _drop(self, bullet: Bullet) -> None:
        del self._bullets[bullet.id]
        self._contents.pop(_key(bullet.content), None)
        self._lines.append(PrefixLine("removed", bullet.id, bullet.content))


def _key(content: str) -> str:
    """What two contents share that say the same to the letter, white space aside."""
    return " ".join(content.split())
