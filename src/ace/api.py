"""Adaptation and evaluation from Python, without a config file."""

from __future__ import annotations

import asyncio
import difflib
import threading
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Required, TypedDict, TypeVar, Unpack

from ace.config import DEFAULT_STORE, RunSettings, merged, settings_from
from ace.engine import Listener, RunSummary, run
from ace.engine.events import null_listener
from ace.errors import ConfigError
from ace.inference import Backend
from ace.playbook import Playbook
from ace.store import RunStore
from ace.tasks import Task
from ace.tasks.sample_task import Grade, SampleLike, make_sample_task

T = TypeVar("T")


@dataclass(frozen=True, slots=True, repr=False)
class Result:
    """Result of an adaptation or an evaluation. Its other records are in `store`, by the run `summary.run`."""

    playbook: Playbook
    summary: RunSummary
    store: str

    @property
    def accuracy(self) -> float | None:
        """Share of right answers on the test samples at the end; None where there were none."""
        return self.summary.accuracy_after

    def save(self, path: str | Path) -> None:
        """Write the playbook to a .json, .md or .txt file."""
        from ace.playbook import write_playbook

        write_playbook(self.playbook, path)

    def __repr__(self) -> str:
        """The figures in a line."""
        from ace.reporting.text import percent

        accuracy = f"{percent(self.summary.accuracy_before)} -> {percent(self.summary.accuracy_after)}"
        return f"<Result of {self.summary.run}: accuracy {accuracy}, {len(self.playbook)} bullets>"

    def _repr_html_(self) -> str:
        """Accuracy, a learning curve and the playbook, for notebooks."""
        from ace.reporting.notebook_view import result_html

        with RunStore.open(self.store, create=False) as opened:
            return result_html(opened, self.summary, self.playbook)


class Options(TypedDict, total=False):
    """Options of both `adapt` and `evaluate`. Only `model` is required.

    `model` is a name, a folder, or a live backend, which is left open. `reflection` is another one that reflects and
    curates, of the same kind. `grade` is the name of a grader, or a function of sample and answer. `instructions` tell
    the model what to do with every sample; a task has its own. `settings` are any further keys of a config, such as
    `{"adaptation": {"max_rounds": 2}}`.
    """

    model: Required[str | Backend]
    reflection: str | Backend
    provider: str
    grade: Grade
    instructions: str
    seed: int
    store: str
    settings: Mapping[str, Any]
    listener: Listener


def adapt(
    task: Task | Iterable[SampleLike],
    *,
    validation: Iterable[SampleLike] = (),
    test: Iterable[SampleLike] = (),
    playbook: Playbook | None = None,
    epochs: int = 1,
    batch_size: int = 16,
    **options: Unpack[Options],
) -> Result:
    """Grow a playbook on the training samples and report the accuracy on `test` before and after.

    `task` is a task with splits of its own, or the training samples. `playbook` is where it starts. Works inside a
    running event loop, too, as in a notebook. Raises ConfigError and DataError before a model is loaded.
    """
    return _blocking(
        aadapt(
            task,
            validation=validation,
            test=test,
            playbook=playbook,
            epochs=epochs,
            batch_size=batch_size,
            **options,
        )
    )


async def aadapt(
    task: Task | Iterable[SampleLike],
    *,
    validation: Iterable[SampleLike] = (),
    test: Iterable[SampleLike] = (),
    playbook: Playbook | None = None,
    epochs: int = 1,
    batch_size: int = 16,
    **options: Unpack[Options],
) -> Result:
    """`adapt` for async code."""
    _check_options(options, "epochs", "batch_size", "validation", "test", "playbook")
    if isinstance(task, Iterable):
        task = _task(options, train=task, validation=validation, test=test)
    return await _run(task, {"adaptation": {"epochs": epochs, "batch_size": batch_size}}, playbook, options)


def evaluate(playbook: Playbook, task: Task | Iterable[SampleLike], **options: Unpack[Options]) -> Result:
    """Answer the test samples of `task`, or these samples, with `playbook`, and grade the answers. See `adapt`."""
    return _blocking(aevaluate(playbook, task, **options))


async def aevaluate(playbook: Playbook, task: Task | Iterable[SampleLike], **options: Unpack[Options]) -> Result:
    """`evaluate` for async code."""
    _check_options(options)
    if isinstance(task, Iterable):
        task = _task(options, test=task)
    return await _run(task, {"mode": "evaluate"}, playbook, options)


def _check_options(options: Options, *others: str) -> None:
    """ConfigError for an option that does not exist, and without a model. `others` are the function's own."""
    names = (*Options.__annotations__, *others)
    for key, value in options.items():
        if key not in names:
            allowed = f"no such option; there are {', '.join(names)}"
            nearest = next(iter(difflib.get_close_matches(key, names, n=1)), None)
            raise ConfigError.at(key, value, allowed, nearest=nearest, hint="keys of a config go into `settings`")
    if not options.get("model"):
        raise ConfigError.at("model", None, "a name of the hub, a folder, or a live backend")


def _task(
    options: Options,
    *,
    train: Iterable[SampleLike] = (),
    validation: Iterable[SampleLike] = (),
    test: Iterable[SampleLike] = (),
) -> Task:
    return make_sample_task(
        train=train,
        validation=validation,
        test=test,
        grade=options.get("grade", "normalized"),
        instructions=options.get("instructions", ""),
    )


async def _run(task: Task, values: Mapping[str, Any], playbook: Playbook | None, options: Options) -> Result:
    models: dict[str, str | Backend] = {"main": options["model"]}
    roles: dict[str, Any] = {}
    if "reflection" in options:
        models["reflection"] = options["reflection"]
        roles = {"reflector": {"model": "reflection"}, "curator": {"model": "reflection"}}
    live = {key: model for key, model in models.items() if not isinstance(model, str)}
    if live and len(live) < len(models):
        raise ConfigError.at("reflection", options["reflection"], "a live backend, if and only if `model` is one")
    provider = options.get("provider", "auto")
    named = {
        key: {"provider": provider, "model": model}
        if isinstance(model, str)
        else {"provider": "scripted", "model": f"given-{key}"}
        for key, model in models.items()
    }
    settings: RunSettings = settings_from(
        merged(
            {
                "name": "adapt",
                "models": named,
                "roles": roles,
                "task": {"name": "python", "path": f"memory:{task.name}"},
                "seed": options.get("seed", 0),
                "store": options.get("store", DEFAULT_STORE),
                **values,
            },
            options.get("settings", {}),
        )
    )
    listener = options.get("listener", null_listener)
    summary = await run(settings, task=task, playbook=playbook, backends=live or None, listener=listener)
    with RunStore.open(settings.store, create=False) as opened:
        return Result(opened.playbook(summary.run), summary, settings.store)


def _blocking(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, on a thread of its own where this one runs an event loop already."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    outcome: list[T] = []
    errors: list[BaseException] = []

    def target() -> None:
        try:
            outcome.append(asyncio.run(work))
        except BaseException as error:  # whatever it is belongs to the caller
            errors.append(error)

    thread = threading.Thread(target=target, name="ace-adapt")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return outcome[0]
