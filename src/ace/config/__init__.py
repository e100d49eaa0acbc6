"""Settings: what a run is told, checked before anything is loaded."""

from ace.config.load import load_settings, settings_from
from ace.config.settings import (
    AdaptationSettings,
    BudgetSettings,
    DedupSettings,
    EarlyStopSettings,
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
from ace.config.yaml import YamlProblem, parse_yaml

__all__ = [
    "AdaptationSettings",
    "BudgetSettings",
    "DedupSettings",
    "EarlyStopSettings",
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
    "YamlProblem",
    "load_settings",
    "parse_yaml",
    "settings_from",
]
