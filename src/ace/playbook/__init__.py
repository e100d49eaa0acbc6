"""The playbook: bullets, deltas that change them, and how prompts and files show them."""

from ace.playbook.apply import Applied, AppliedOperation, SkippedOperation, apply
from ace.playbook.budget import Budgeted, enforce_budget
from ace.playbook.bullet import Bullet, Counters, Provenance, QuarantinedBullet
from ace.playbook.dedup import Deduped, dedup_delta
from ace.playbook.delta import Add, Delta, Merge, Operation, Quarantine, Remove, Tag, Update
from ace.playbook.diff import Change, PlaybookDiff, diff
from ace.playbook.embed import Embedder, NgramEmbedder, create_embedder
from ace.playbook.formats import dumps, loads, read_playbook, write_playbook
from ace.playbook.merge import Merged, merge_deltas, resolve_deltas
from ace.playbook.playbook import Playbook, PrefixLine, Section
from ace.playbook.render import LineFormats, render

__all__ = [
    "Add",
    "Applied",
    "AppliedOperation",
    "Budgeted",
    "Bullet",
    "Change",
    "Counters",
    "Deduped",
    "Delta",
    "Embedder",
    "LineFormats",
    "Merge",
    "Merged",
    "NgramEmbedder",
    "Operation",
    "Playbook",
    "PlaybookDiff",
    "PrefixLine",
    "Provenance",
    "Quarantine",
    "QuarantinedBullet",
    "Remove",
    "Section",
    "SkippedOperation",
    "Tag",
    "Update",
    "apply",
    "create_embedder",
    "dedup_delta",
    "diff",
    "dumps",
    "enforce_budget",
    "loads",
    "merge_deltas",
    "read_playbook",
    "render",
    "resolve_deltas",
    "write_playbook",
]
