"""Tasks: where samples come from, what a model is asked, how answers are graded."""

from ace.tasks.registry import load_task
from ace.tasks.task import Splits, Task

__all__ = ["Splits", "Task", "load_task"]
