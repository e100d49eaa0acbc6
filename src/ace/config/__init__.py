"""Settings of a run, checked before anything is loaded."""

from ace.config.adaptation_settings import AdaptationSettings, ConsistencySettings, EarlyStopSettings, Labels
from ace.config.load import load_settings, merged, settings_from
from ace.config.model_settings import ModelSettings, PriceSettings, Provider, SpeculativeSettings
from ace.config.playbook_settings import DedupSettings, PlaybookSettings
from ace.config.ray_settings import RaySettings
from ace.config.role_settings import EscalationSettings, RoleSettings, RolesSettings
from ace.config.run_settings import DEFAULT_STORE, BudgetSettings, CachePolicy, EvaluationSettings, RunSettings
from ace.config.task_settings import (
    AppWorldSettings,
    FieldSettings,
    GraderName,
    MicroSettings,
    RoutingLevel,
    RoutingSettings,
    SplitSettings,
    TaskSettings,
)
from ace.config.tracking_settings import MlflowSettings, OtelSettings, TrackingSettings, WandbSettings
from ace.config.yaml_parser import YamlProblem, parse_yaml

__all__ = [
    "DEFAULT_STORE",
    "AdaptationSettings",
    "AppWorldSettings",
    "BudgetSettings",
    "CachePolicy",
    "ConsistencySettings",
    "DedupSettings",
    "EarlyStopSettings",
    "EscalationSettings",
    "EvaluationSettings",
    "FieldSettings",
    "GraderName",
    "Labels",
    "MicroSettings",
    "MlflowSettings",
    "ModelSettings",
    "OtelSettings",
    "PlaybookSettings",
    "PriceSettings",
    "Provider",
    "RaySettings",
    "RoleSettings",
    "RolesSettings",
    "RoutingLevel",
    "RoutingSettings",
    "RunSettings",
    "SpeculativeSettings",
    "SplitSettings",
    "TaskSettings",
    "TrackingSettings",
    "WandbSettings",
    "YamlProblem",
    "load_settings",
    "merged",
    "parse_yaml",
    "settings_from",
]
