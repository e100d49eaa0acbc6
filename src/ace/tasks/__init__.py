"""Tasks: sources of samples, prompts, and graders of answers."""

from ace.tasks.task import (
    ComparingTask,
    Environment,
    InstructedTask,
    InteractiveTask,
    MeasuringTask,
    ObservingTask,
    SchemaTask,
    Splits,
    Task,
    TaskAbilities,
    abilities_of,
)
from ace.tasks.task_loader import check_task, load_task

__all__ = [
    "ComparingTask",
    "Environment",
    "InstructedTask",
    "InteractiveTask",
    "MeasuringTask",
    "ObservingTask",
    "SchemaTask",
    "Splits",
    "Task",
    "TaskAbilities",
    "abilities_of",
    "check_task",
    "load_task",
]
