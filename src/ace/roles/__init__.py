"""The three roles: generator, reflector, curator. One model call each, typed in and out."""

from ace.roles.answers import (
    AddOp,
    BulletTag,
    Curation,
    GeneratorAnswer,
    JointReflection,
    MergeOp,
    PhraseCheck,
    Reflection,
    RemoveOp,
    UpdateOp,
    response_schema,
)
from ace.roles.contrast import distinctive_phrases
from ace.roles.curator import bullet_stats, curate, insight_lines, tags_to_delta, to_delta
from ace.roles.generator import generate
from ace.roles.joint_reflection import name_common, name_phrases, reflect_together, write_insight
from ace.roles.parsing import parse
from ace.roles.phrase_check import Fits, check_phrase, rank_fitting
from ace.roles.reflector import reflect, reflection_text
from ace.roles.role_call import CallRecord, RoleModel, RoleResult

__all__ = [
    "AddOp",
    "BulletTag",
    "CallRecord",
    "Curation",
    "Fits",
    "GeneratorAnswer",
    "JointReflection",
    "MergeOp",
    "PhraseCheck",
    "Reflection",
    "RemoveOp",
    "RoleModel",
    "RoleResult",
    "UpdateOp",
    "bullet_stats",
    "check_phrase",
    "curate",
    "distinctive_phrases",
    "generate",
    "insight_lines",
    "name_common",
    "name_phrases",
    "parse",
    "rank_fitting",
    "reflect",
    "reflect_together",
    "reflection_text",
    "response_schema",
    "tags_to_delta",
    "to_delta",
    "write_insight",
]
