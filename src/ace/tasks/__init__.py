"""Tasks: where samples come from, what a model is asked, how answers are graded."""

from ace.tasks.registry import load_task
from ace.tasks.task import (
    ComparingTask,
    Environment,
    InteractiveTask,
    MeasuringTask,
    ObservingTask,
    SchemaTask,
    Splits,
    Task,
)

__all__ = [
    "ComparingTask",
    "Environment",
    "InteractiveTask",
    "MeasuringTask",
    "ObservingTask",
    "SchemaTask",
    "Splits",
    "Task",
    "load_task",
]
