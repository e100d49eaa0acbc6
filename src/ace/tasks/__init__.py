"""Tasks: where samples come from, what a model is asked, how answers are graded."""

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
