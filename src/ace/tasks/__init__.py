"""Tasks: where samples come from, what a model is asked, how answers are graded."""

from ace.tasks.task import (
    ComparingTask,
    Environment,
    InteractiveTask,
    MeasuringTask,
    ObservingTask,
    SchemaTask,
    Splits,
    Task,
    TaskAbilities,
    abilities_of,
)
from ace.tasks.task_loader import load_task

__all__ = [
    "ComparingTask",
    "Environment",
    "InteractiveTask",
    "MeasuringTask",
    "ObservingTask",
    "SchemaTask",
    "Splits",
    "Task",
    "TaskAbilities",
    "abilities_of",
    "load_task",
]
