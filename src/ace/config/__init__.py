"""Settings: what a run is told, checked before anything is loaded."""

from ace.config.load import load_settings, settings_from
from ace.config.settings import (
    AdaptationSettings,
    BudgetSettings,
    DedupSettings,
    EvaluationSettings,
    FieldSettings,
    GraderName,
    Labels,
    MicroSettings,
    ModelSettings,
    PlaybookSettings,
    PriceSettings,
    Provider,
    RoleSettings,
    RolesSettings,
    RunSettings,
    SplitSettings,
    TaskSettings,
)

__all__ = [
    "AdaptationSettings",
    "BudgetSettings",
    "DedupSettings",
    "EvaluationSettings",
    "FieldSettings",
    "GraderName",
    "Labels",
    "MicroSettings",
    "ModelSettings",
    "PlaybookSettings",
    "PriceSettings",
    "Provider",
    "RoleSettings",
    "RolesSettings",
    "RunSettings",
    "SplitSettings",
    "TaskSettings",
    "load_settings",
    "settings_from",
]
