"""Settings: what a run is told, checked before anything is loaded."""

from ace.config.adaptation import AdaptationSettings, ConsistencySettings, EarlyStopSettings, Labels
from ace.config.load import load_settings, merged, settings_from
from ace.config.models import ModelSettings, PriceSettings, Provider, SpeculativeSettings
from ace.config.playbook import DedupSettings, PlaybookSettings
from ace.config.roles import EscalationSettings, RoleSettings, RolesSettings
from ace.config.settings import BudgetSettings, EvaluationSettings, RunSettings
from ace.config.task import (
    AppWorldSettings,
    FieldSettings,
    GraderName,
    MicroSettings,
    RoutingLevel,
    RoutingSettings,
    SplitSettings,
    TaskSettings,
)
from ace.config.yaml import YamlProblem, parse_yaml

__all__ = [
    "AdaptationSettings",
    "AppWorldSettings",
    "BudgetSettings",
    "ConsistencySettings",
    "DedupSettings",
    "EarlyStopSettings",
    "EscalationSettings",
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
    "RoutingLevel",
    "RoutingSettings",
    "RunSettings",
    "SpeculativeSettings",
    "SplitSettings",
    "TaskSettings",
    "YamlProblem",
    "load_settings",
    "merged",
    "parse_yaml",
    "settings_from",
]
