"""The run store: records of runs, committed batch by batch. Loads SQLAlchemy."""

from ace.store.records import (
    BatchInfo,
    BatchRecord,
    DeltaInfo,
    EvaluationAmendment,
    EvaluationInfo,
    EvaluationRecord,
    JournalEntry,
    OutcomeRecord,
    OutcomeStatus,
    Owner,
    RoleUsage,
    Run,
    RunStatus,
    VersionInfo,
)
from ace.store.run_reader import RunReader
from ace.store.run_store import RunStore

__all__ = [
    "BatchInfo",
    "BatchRecord",
    "DeltaInfo",
    "EvaluationAmendment",
    "EvaluationInfo",
    "EvaluationRecord",
    "JournalEntry",
    "OutcomeRecord",
    "OutcomeStatus",
    "Owner",
    "RoleUsage",
    "Run",
    "RunReader",
    "RunStatus",
    "RunStore",
    "VersionInfo",
]
