"""Loading of the task that settings name, with its checks."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from ace.config import Labels, TaskSettings
from ace.errors import AceError, ConfigError, DataError
from ace.tasks.builtin.appworld import load_appworld
from ace.tasks.builtin.routing import make_routing
from ace.tasks.data_task_loader import load_data_task
from ace.tasks.external.inspect_task import load_inspect
from ace.tasks.external.verifiers_task import load_verifiers
from ace.tasks.micro.micro_task import MicroTask
from ace.tasks.splits import check_splits
from ace.tasks.task import Splits, Task
from ace.types import Sample


def load_task(settings: TaskSettings, *, labels: Labels = "given") -> Task:
    """The task that `settings` name, with at least one sample and none in two splits. ConfigError, DataError.

    Where `labels` are forbidden, no training sample has a target.
    """
    task: Task
    if settings.name == "micro":
        task = MicroTask.make(settings.micro)
    elif settings.name == "routing":
        task = make_routing(settings.routing)
    elif settings.name == "python":
        task = _python(settings)
    elif settings.name == "appworld":
        task = load_appworld(settings.appworld, settings.limit)
    elif settings.name == "verifiers":
        task = load_verifiers(settings)
    elif settings.name == "inspect":
        task = load_inspect(settings)
    else:
        task = load_data_task(settings)
    check_task(task)
    if labels == "forbidden":
        _refuse_labels(settings, task)
    return task


def check_task(task: Task) -> Task:
    """`task`, which has at least one sample and none in two splits; DataError otherwise."""
    splits = check_splits(task.splits)
    if not (splits.train or splits.validation or splits.test):
        raise DataError(f"task '{task.name}' has no samples")
    return task


def _refuse_labels(settings: TaskSettings, task: Task) -> None:
    if settings.name != "python":
        allowed = f"given or none, with task '{settings.name}': its grader compares with targets"
        raise ConfigError.at("adaptation.labels", "forbidden", allowed)
    for sample in task.splits.train:
        if sample.target is not None:
            raise DataError(
                f"training sample {sample.id!r} has a label where none is allowed: adaptation.labels is 'forbidden'",
                hint="with 'none' it may have one, and no model sees it",
                sample=sample.id,
            )


def _python(settings: TaskSettings) -> Task:
    """The task that the factory in `path: file.py:factory` gives."""
    file, colon, factory = (settings.path or "").rpartition(":")
    if not colon or not file or not factory:
        raise ConfigError.at("task.path", settings.path, "file.py:factory")
    path = Path(file)
    if not path.is_file() or path.suffix != ".py":
        raise ConfigError.at("task.path", settings.path, "an existing .py file before the colon")
    make = getattr(_module(path), factory, None)
    if not callable(make):
        raise ConfigError.at("task.path", settings.path, f"a function of {path}; it has no '{factory}'")
    try:
        task = make()
    except AceError:
        raise
    except Exception as error:  # it is the user's code, which may raise anything
        raise ConfigError(f"task.path: {factory}() of {path} failed: {error!r}", key="task.path") from error
    _check_protocol(task, f"{factory}() of {path}")
    checked: Task = task
    return checked


def _module(path: Path) -> ModuleType:
    name = f"ace_task_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # it is a .py file
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look their module up
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # it is the user's code, which may raise anything
        del sys.modules[name]
        raise ConfigError(f"task.path: {path} cannot be imported: {error!r}", key="task.path") from error
    return module


def _check_protocol(task: Any, source: str) -> None:
    missing = [name for name in ("name", "splits", "prompt", "grade") if not hasattr(task, name)]
    if missing:
        raise ConfigError(
            f"task.path: what {source} gives has no {', '.join(missing)}: see ace.tasks.Task", key="task.path"
        )
    if not isinstance(task.splits, Splits):
        type_name = type(task.splits).__name__
        raise ConfigError(f"task.path: {source}: splits is {type_name}, allowed: ace.tasks.Splits", key="task.path")
    samples: tuple[Any, ...] = (*task.splits.train, *task.splits.validation, *task.splits.test)
    for sample in samples:
        if not isinstance(sample, Sample):
            type_name = type(sample).__name__
            raise DataError(f"{source}: a split holds {type_name}, allowed: ace.types.Sample", path=source)
