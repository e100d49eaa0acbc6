"""The guard of one batch: what is admitted, masked, quarantined and flagged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ace.config.playbook_settings import GuardSettings
from ace.playbook.apply import Applied
from ace.playbook.delta import Add, Delta, Merge, Operation, Quarantine, Update
from ace.playbook.guard.content_scan import Scan, scan
from ace.playbook.playbook import Playbook
from ace.types import Sample


@dataclass(frozen=True, slots=True)
class Flagged:
    """A bullet whose new wording has something in it that no playbook should hold."""

    id: str
    reasons: tuple[str, ...]
    quarantined: bool


@dataclass(slots=True)
class Guard:
    """Looks at every wording once. `samples` are the batch's, `all_samples` the task's training samples."""

    settings: GuardSettings
    samples: Sequence[Sample] = ()
    all_samples: Sequence[Sample] = ()
    _scans: dict[str, Scan] = field(default_factory=dict)

    def admit(self, playbook: Playbook, delta: Delta) -> Delta:
        """The delta as the policy lets it go on to merge and dedup.

        `quarantine` puts a QUARANTINE of the masked wording in the place of every ADD, UPDATE and MERGE that is
        flagged: the bullets that it would have changed stay as they are, and it takes nothing from other proposals.
        """
        if self.settings.policy != "quarantine":
            return delta
        return Delta(tuple(self._admitted(playbook, operation) for operation in delta.operations))

    def flagged(self, applied: Applied) -> tuple[Flagged, ...]:
        """The bullets that got a flagged wording, or were quarantined with it, in the order of the operations."""
        findings = []
        for done in applied.done:
            match done.operation:
                case Quarantine(reasons=reasons):
                    findings.append(Flagged(done.id, reasons, True))
                case Add(content=content) | Update(content=content) | Merge(content=content):
                    if self.settings.policy != "off" and (reasons := self._scan(content).reasons):
                        findings.append(Flagged(done.id, reasons, False))
                case _:
                    pass
        return tuple(findings)

    def _admitted(self, playbook: Playbook, operation: Operation) -> Operation:
        if not isinstance(operation, Add | Update | Merge) or not (scanned := self._scan(operation.content)).reasons:
            return operation
        return Quarantine(_section(playbook, operation), scanned.masked, scanned.reasons, operation.provenance)

    def _scan(self, content: str) -> Scan:
        if content not in self._scans:
            self._scans[content] = scan(content, self.samples, self.all_samples)
        return self._scans[content]


def _section(playbook: Playbook, operation: Add | Update | Merge) -> str:
    """Where the wording would have gone. An id of no live bullet tells its section, or nothing that `apply` takes."""
    match operation:
        case Add(section=section):
            return section
        case Update(id=identity):
            return _section_of(playbook, identity)
        case Merge(section=str() as section):
            return section
        case Merge(ids=ids):
            return next((_section_of(playbook, identity) for identity in ids), "")


def _section_of(playbook: Playbook, identity: str) -> str:
    bullet = playbook.get(identity)
    return bullet.section if bullet else identity.partition("-")[0]
