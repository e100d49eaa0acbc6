"""Settings: what a run is told, checked before anything is loaded."""

from ace.config.load import load_settings, settings_from
from ace.config.settings import (
    AdaptationSettings,
    DedupSettings,
    EvaluationSettings,
    FieldSettings,
    GraderName,
    MicroSettings,
    ModelSettings,
    PlaybookSettings,
    Provider,
    RoleSettings,
    RolesSettings,
    RunSettings,
    SplitSettings,
    TaskSettings,
)

__all__ = [
    "AdaptationSettings",
    "DedupSettings",
    "EvaluationSettings",
    "FieldSettings",
    "GraderName",
    "MicroSettings",
    "ModelSettings",
    "PlaybookSettings",
    "Provider",
    "RoleSettings",
    "RolesSettings",
    "RunSettings",
    "SplitSettings",
    "TaskSettings",
    "load_settings",
    "settings_from",
]
