"""The playbook: bullets, deltas that change them, rendering, and files."""

from ace.playbook.apply import Applied, AppliedOperation, SkippedOperation, apply, carried_out
from ace.playbook.bullet import Bullet, Counters, Provenance, QuarantinedBullet
from ace.playbook.combine import CombinedPlaybook, combine_playbooks
from ace.playbook.delta import Add, Delta, Merge, Operation, Quarantine, Release, Remove, Tag, Update, Withhold
from ace.playbook.diff import Change, PlaybookDiff, diff
from ace.playbook.io import dumps, loads, read_playbook, write_playbook
from ace.playbook.limits.compaction import CompactionCost, compaction_cost, pays_to_compact
from ace.playbook.limits.token_budget import Budgeted, enforce_budget
from ace.playbook.merge import Merged, merge_deltas, resolve_deltas
from ace.playbook.playbook import Playbook, PrefixLine, Section
from ace.playbook.render import LineFormats, render
from ace.playbook.similarity.dedup import Deduped, dedup_delta
from ace.playbook.similarity.embedders import Embedder, NgramEmbedder, create_embedder
from ace.playbook.similarity.working_set import WorkingSet, recall, retrieve, visible_playbook

__all__ = [
    "Add",
    "Applied",
    "AppliedOperation",
    "Budgeted",
    "Bullet",
    "Change",
    "CombinedPlaybook",
    "CompactionCost",
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
    "Release",
    "Remove",
    "Section",
    "SkippedOperation",
    "Tag",
    "Update",
    "Withhold",
    "WorkingSet",
    "apply",
    "carried_out",
    "combine_playbooks",
    "compaction_cost",
    "create_embedder",
    "dedup_delta",
    "diff",
    "dumps",
    "enforce_budget",
    "loads",
    "merge_deltas",
    "pays_to_compact",
    "read_playbook",
    "recall",
    "render",
    "resolve_deltas",
    "retrieve",
    "visible_playbook",
    "write_playbook",
]
