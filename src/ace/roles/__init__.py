"""The three roles: generator, reflector, curator. One model call each, typed in and out."""

from ace.roles.answers import (
    AddOp,
    BulletTag,
    Curation,
    GeneratorAnswer,
    JointReflection,
    MergeOp,
    Reflection,
    RemoveOp,
    UpdateOp,
    response_schema,
)
from ace.roles.curator import bullet_stats, curate, insight_lines, tags_to_delta, to_delta
from ace.roles.generator import generate
from ace.roles.joint_reflection import reflect_together, write_insights
from ace.roles.parsing import parse
from ace.roles.reflector import reflect, reflection_text
from ace.roles.role_call import CallRecord, RoleModel, RoleResult

__all__ = [
    "AddOp",
    "BulletTag",
    "CallRecord",
    "Curation",
    "GeneratorAnswer",
    "JointReflection",
    "MergeOp",
    "Reflection",
    "RemoveOp",
    "RoleModel",
    "RoleResult",
    "UpdateOp",
    "bullet_stats",
    "curate",
    "generate",
    "insight_lines",
    "parse",
    "reflect",
    "reflect_together",
    "reflection_text",
    "response_schema",
    "tags_to_delta",
    "to_delta",
    "write_insights",
]
