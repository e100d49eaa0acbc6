"""Tasks: where samples come from, what a model is asked, how answers are graded."""

from ace.tasks.registry import load_task
from ace.tasks.task import ObservingTask, Splits, Task

__all__ = ["ObservingTask", "Splits", "Task", "load_task"]
