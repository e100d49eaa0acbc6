"""AppWorld: everyday tasks over the APIs of simulated apps, done by writing Python step by step.

Source: Trivedi et al., ACL 2024 (arXiv 2407.18901). Its package pins versions that cannot live beside ours, so that its
worlds run in processes of their own: `appworld serve environment --port 8000`, spoken to over HTTP as its documentation
describes. A server holds one world; several make several samples work at once.
"""

from __future__ import annotations

import os
import queue
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ace._util.extras import missing_package
from ace._util.install_commands import install_command
from ace.config import AppWorldSettings
from ace.errors import DataError, ProviderStartError, TransientError
from ace.tasks.task import Splits
from ace.types import Observation, Sample, Score

_FENCED = re.compile(r"```(?:python|py)?[^\S\n]*\n(.*?)```", re.DOTALL | re.IGNORECASE)
_DATA_SPLITS = {"train": "train", "validation": "dev", "test": "test_normal"}
_INSTRUCTIONS = (
    "Your answer is the next piece of Python to run in the AppWorld shell, whose state is kept from step to step. Find "
    "the apps with print(apis.api_docs.show_app_descriptions()), their functions with "
    "print(apis.api_docs.show_api_descriptions(app_name=...)), and one function with "
    "print(apis.api_docs.show_api_doc(app_name=..., api_name=...)). When the task is done, or cannot be done, call "
    "apis.supervisor.complete_task(), with answer=... if it asks for something."
)


class AppWorldTask:
    """Samples are AppWorld's task ids; the splits are its train, dev and test_normal."""

    name = "appworld"
    instructions = _INSTRUCTIONS

    def __init__(self, settings: AppWorldSettings, splits: Splits) -> None:
        self.splits = splits
        self.max_steps = settings.max_steps
        self.worlds = len(settings.servers)
        self._settings = settings
        self._free: queue.Queue[str] = queue.Queue()
        for server in settings.servers:
            self._free.put(server)

    def prompt(self, sample: Sample) -> tuple[str, str]:
        return sample.question, sample.context

    def grade(self, sample: Sample, answer: str) -> Score:
        raise DataError(f"sample {sample.id!r}: AppWorld grades what was done in a world, not an answer")

    def open(self, sample: Sample) -> _World:
        """A world on a free server; there is one, as long as no more than `worlds` are open."""
        server = self._free.get(timeout=self._settings.timeout_s)
        try:
            return _World(sample, server, self._settings, self._free)
        except BaseException:
            self._free.put(server)
            raise


class _World:
    def __init__(self, sample: Sample, server: str, settings: AppWorldSettings, free: queue.Queue[str]) -> None:
        self._task, self._server, self._free = sample.id, server, free
        self._timeout_s = settings.timeout_s
        self._done = False
        arguments = {"experiment_name": settings.experiment, "raise_on_failure": False}
        self._call("initialize", **arguments)

    def step(self, action: str) -> Observation:
        fenced = _FENCED.findall(action)
        output = str(self._call("execute", code="\n".join(fenced) if fenced else action))
        self._done = bool(self._call("task_completed"))
        return Observation(output.strip() or "done, nothing printed", failed="Execution failed" in output)

    @property
    def done(self) -> bool:
        return self._done

    def grade(self) -> Score:
        """The share of the task's unit tests that pass; right where all do (its task goal completion)."""
        report: Mapping[str, Any] = self._call("evaluate", suppress_errors=True, report=False)
        passed, failed = report["passes"], report["failures"]
        total = max(1, int(report["num_tests"]))
        failures = "; ".join(str(test["requirement"]) for test in failed)
        correct = bool(report["success"])
        return Score(len(passed) / total, correct, "all tests pass" if correct else f"not met: {failures}")

    def close(self) -> None:
        try:
            self._call("close")
        finally:
            self._free.put(self._server)

    def _call(self, method: str, **arguments: Any) -> Any:
        url = f"{self._server.rstrip('/')}/{method}"
        return _request("POST", url, self._timeout_s, {"task_id": self._task, **arguments})


def load_appworld(settings: AppWorldSettings, limit: int | None) -> AppWorldTask:
    """The task, its instructions asked of the first server.

    DataError without AppWorld's data folder (`appworld download data`), ProviderStartError where no server answers.
    """
    root = Path(settings.root or os.environ.get("APPWORLD_ROOT", "."))
    splits = {}
    for split, name in _DATA_SPLITS.items():
        path = root / "data" / "datasets" / f"{name}.txt"
        try:
            ids = path.read_text(encoding="utf-8").split()
        except OSError as error:
            raise DataError(
                f"{path}: cannot be read: {error.strerror}",
                hint="`appworld download data`, then name its folder as task.appworld.root",
                path=str(path),
            ) from error
        splits[split] = tuple(_sample(settings, identity) for identity in ids[:limit])
    return AppWorldTask(settings, Splits(**splits))


def _sample(settings: AppWorldSettings, identity: str) -> Sample:
    server = settings.servers[0].rstrip("/")
    try:
        answer = _request("GET", f"{server}/tasks/{identity}", settings.timeout_s)
    except TransientError as error:
        raise ProviderStartError(
            f"no AppWorld environment at {server}: {error.message}",
            hint="start one with `appworld serve environment`, or name it in task.appworld.servers",
        ) from error
    who = answer["supervisor"]
    context = (
        f"You act for {who['first_name']} {who['last_name']} ({who['email']}, {who['phone_number']}). "
        f"It is {answer['datetime']}."
    )
    return Sample(identity, str(answer["instruction"]), None, context)


def _request(method: str, url: str, timeout_s: float, body: Mapping[str, Any] | None = None) -> Any:
    """Send a request and return the answer. TransientError without one, DataError for a refusal."""
    try:
        import httpx
    except ImportError as error:
        command = install_command("appworld")
        raise missing_package("task 'appworld' needs", "httpx", provider="appworld", command=command) from error
    try:
        response = httpx.request(method, url, json=body, timeout=timeout_s)
    except httpx.TransportError as error:
        raise TransientError(f"{url}: {error!r}") from error
    if response.status_code != 200:
        raise DataError(f"{url}: HTTP {response.status_code}: {response.text[:500]}")
    return response.json()["output"]
