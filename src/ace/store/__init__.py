"""The run store: what a run did, committed batch by batch. Loads SQLAlchemy; import it only where a store is opened."""

from ace.store.records import (
    BatchInfo,
    BatchRecord,
    Control,
    DeltaInfo,
    EvaluationAmendment,
    EvaluationInfo,
    EvaluationRecord,
    FailureRecord,
    JournalEntry,
    OutcomeRecord,
    OutcomeStatus,
    Owner,
    PlaceUsage,
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
    "Control",
    "DeltaInfo",
    "EvaluationAmendment",
    "EvaluationInfo",
    "EvaluationRecord",
    "FailureRecord",
    "JournalEntry",
    "OutcomeRecord",
    "OutcomeStatus",
    "Owner",
    "PlaceUsage",
    "RoleUsage",
    "Run",
    "RunReader",
    "RunStatus",
    "RunStore",
    "VersionInfo",
]
