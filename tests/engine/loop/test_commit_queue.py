"""A batch is committed while the next one's samples work: the order of things, and what may end a run meanwhile."""

from __future__ import annotations

import asyncio
import itertools
import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from micro_runs import all_roles, micro_model, settings
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError

from ace.engine import Event, RunSummary, run
from ace.engine.events import BatchCommitted, BatchStarted, SampleFinished
from ace.errors import InterruptedRunError, StoreError
from ace.inference import ScriptedBackend
from ace.store import RunStore
from ace.types import Completion, Request

OPTIONS: dict[str, Any] = {
    "adaptation__epochs": 2,
    "adaptation__validate_each_epoch": False,
    "evaluation__before": False,
}
LONG_S = 30.0
"""More than anything here takes: what has not come by then does not come."""


class Scene(ScriptedBackend):
    """A run whose first commit is held back in its thread until a call of the next batch to begin has set `go_on`.

    Those calls do what `meanwhile` does. With `fails` the disk is full then.
    """

    def __init__(self, *, ahead: int = 0, fails: bool = False) -> None:
        super().__init__(micro_model)
        self.ahead, self.fails = ahead, fails
        self.events: list[Event] = []
        self.go_on = threading.Event()
        self.met: list[Request] = []

    async def meanwhile(self) -> None:
        self.go_on.set()

    async def complete(self, request: Request) -> Completion:
        if any(isinstance(told, BatchStarted) and told.index == 1 + self.ahead for told in self.events):
            self.met.append(request)
            if not self.go_on.is_set():
                await self.meanwhile()
        return await super().complete(request)

    async def micro_model(self, folder: Path, **changes: Any) -> RunSummary:
        options = {**OPTIONS, "adaptation__pipeline": self.ahead, **changes}
        with self._holding():
            return await run(settings(folder, **options), backends=all_roles(self), listener=self.listen)

    def listen(self, told: Event) -> None:
        self.events.append(told)

    def told(self) -> list[str]:
        """Which batch began and which was committed, in order."""
        watched = [told for told in self.events if isinstance(told, BatchStarted | BatchCommitted)]
        return [f"{type(told).__name__} {told.index}" for told in watched]

    @contextmanager
    def _holding(self) -> Iterator[None]:
        numbers = itertools.count()

        def hold(connection: object) -> None:
            if threading.current_thread().name.startswith("ace-commit") and next(numbers) == 0:
                assert self.go_on.wait(LONG_S)
                if self.fails:
                    raise OperationalError("COMMIT", None, sqlite3.OperationalError("database or disk is full"))

        event.listen(Engine, "commit", hold)
        try:
            yield
        finally:
            event.remove(Engine, "commit", hold)


class Interrupted(Scene):
    """The run is cancelled, so many times, while the commit is held back."""

    def __init__(self, times: int, **options: Any) -> None:
        super().__init__(**options)
        self._times = times

    async def meanwhile(self) -> None:
        for _ in range(self._times):
            self.running.cancel()
            try:
                await turns(5)
            except asyncio.CancelledError:
                await turns(5)
        self.go_on.set()
        raise asyncio.CancelledError

    async def micro_model(self, folder: Path, **changes: Any) -> RunSummary:
        self.running = asyncio.create_task(super().micro_model(folder, **changes))
        return await self.running


async def turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


def resumed(folder: Path) -> Any:
    """What the run in `folder` leaves when it was taken up again."""
    summary = asyncio.run(
        run(settings(folder, **OPTIONS), backends=all_roles(ScriptedBackend(micro_model)), resume="latest")
    )
    assert summary.status == "done"
    return left(folder)


def left(folder: Path) -> Any:
    """Playbook after playbook, without the run's name, and all outcomes."""
    with RunStore.open(f"sqlite:///{folder}/ace.db", create=False) as store:
        name = store.resolve("latest")
        playbooks = [store.playbook_after(name, batch) for batch in range(-1, len(store.batches(name)))]
        return json.dumps([playbook.to_json() for playbook in playbooks]).replace(name, "RUN"), store.outcomes(name)


def kept(folder: Path) -> tuple[str, int, set[str]]:
    """The run's status, how many batches it has, and the digests of the calls in its journal."""
    with RunStore.open(f"sqlite:///{folder}/ace.db", create=False) as store:
        known = store.run(store.resolve("latest"))
        return known.status, known.batches, {entry.digest for entry in store.journal(known.id)}


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the run whose commits are not held back."""
    folder = tmp_path_factory.mktemp("whole")
    asyncio.run(run(settings(folder, **OPTIONS), backends=all_roles(ScriptedBackend(micro_model))))
    return folder


@pytest.fixture(scope="module")
def whole(whole_run: Path) -> Any:
    """What that run leaves."""
    return left(whole_run)


def test_the_next_batch_begins_before_the_commit_ends(tmp_path: Path, whole: Any) -> None:
    scene = Scene()
    asyncio.run(scene.micro_model(tmp_path))
    assert scene.told()[:4] == ["BatchStarted 0", "BatchStarted 1", "BatchCommitted 0", "BatchStarted 2"]
    assert left(tmp_path) == whole


def test_a_pipelined_batch_begins_before_the_commit_ends(tmp_path: Path) -> None:
    scene = Scene(ahead=1)
    asyncio.run(scene.micro_model(tmp_path))
    assert scene.told()[:4] == ["BatchStarted 0", "BatchStarted 1", "BatchStarted 2", "BatchCommitted 0"]
    assert [told.index for told in scene.events if isinstance(told, BatchCommitted)] == list(range(6))


@pytest.mark.parametrize("ahead", [0, 1])
def test_a_batch_is_told_of_when_it_is_on_disk_and_the_next_is_not(tmp_path: Path, ahead: int) -> None:
    newest: list[tuple[int, int]] = []

    def listen(told: Event) -> None:
        if isinstance(told, BatchCommitted):
            newest.append((told.index, kept(tmp_path)[1] - 1))

    changes = {**OPTIONS, "adaptation__pipeline": ahead}
    asyncio.run(run(settings(tmp_path, **changes), backends=all_roles(ScriptedBackend(micro_model)), listener=listen))
    assert newest == [(index, index) for index in range(6)]


def test_the_next_batch_is_not_concluded_before_the_commit_ends(tmp_path: Path) -> None:
    """Not even where all of its answers come from the completion cache, and none has to wait for the journal."""

    class Unasked(Scene):
        def listen(self, told: Event) -> None:
            self.events.append(told)
            if isinstance(told, SampleFinished) and told.batch == 1:
                asyncio.get_running_loop().call_later(0.05, self.go_on.set)

    asyncio.run(run(settings(tmp_path, **OPTIONS, cache="all"), backends=all_roles(ScriptedBackend(micro_model))))
    scene = Unasked()
    asyncio.run(scene.micro_model(tmp_path, cache="all"))
    assert scene.requests == []
    assert scene.told()[:4] == ["BatchStarted 0", "BatchStarted 1", "BatchCommitted 0", "BatchStarted 2"]


def test_answers_that_come_during_a_commit_are_kept_after_it(tmp_path: Path, whole: Any) -> None:
    """The loop does not stand still meanwhile: the second call comes although the first one's answer waits."""

    class Curious(Scene):
        async def meanwhile(self) -> None:
            if len(self.met) == 2:  # the first one is answered
                await turns(10)
                self.journal = kept(tmp_path)[2]
                self.go_on.set()

    scene = Curious()
    asyncio.run(scene.micro_model(tmp_path))
    assert scene.journal.isdisjoint(request.digest for request in scene.met)
    assert left(tmp_path) == whole


def test_a_commit_that_fails_ends_the_run_and_abandons_what_has_begun(tmp_path: Path, whole: Any) -> None:

    class Endless(Scene):
        async def meanwhile(self) -> None:
            self.go_on.set()
            await asyncio.Event().wait()

    scene = Endless(fails=True)
    with pytest.raises(StoreError, match="disk is full"):
        asyncio.run(scene.micro_model(tmp_path))
    assert scene.told() == ["BatchStarted 0", "BatchStarted 1"]
    status, batches, journal = kept(tmp_path)
    assert (status, batches) == ("failed", 0)
    assert len(scene.met) == 2
    assert journal == {request.digest for request in scene.requests}, "what was answered is kept"
    assert resumed(tmp_path) == whole


@pytest.mark.parametrize("times", [1, 3])
def test_a_commit_that_has_begun_outlives_the_runs_end(tmp_path: Path, whole: Any, times: int) -> None:
    scene = Interrupted(times)
    with pytest.raises(InterruptedRunError):
        asyncio.run(scene.micro_model(tmp_path))
    assert scene.told() == ["BatchStarted 0", "BatchStarted 1", "BatchCommitted 0"]
    assert kept(tmp_path)[:2] == ("interrupted", 1)
    assert resumed(tmp_path) == whole


def test_a_commit_that_fails_counts_more_than_an_interruption(tmp_path: Path, whole: Any) -> None:
    with pytest.raises(StoreError, match="disk is full"):
        asyncio.run(Interrupted(1, fails=True).micro_model(tmp_path))
    assert kept(tmp_path)[:2] == ("failed", 0)
    assert resumed(tmp_path) == whole


@pytest.mark.parametrize("fails", [False, True])
def test_a_budget_reached_during_a_commit(tmp_path: Path, whole_run: Path, whole: Any, fails: bool) -> None:
    """The second of the next batch's two calls is refused. A commit that then fails is not passed over."""

    class Last(Scene):
        async def meanwhile(self) -> None:
            await turns(20)
            self.go_on.set()

    calls = len(first_batch(whole_run))
    scene = Last(fails=fails)
    if fails:
        with pytest.raises(StoreError, match="disk is full"):
            asyncio.run(scene.micro_model(tmp_path, budget__calls=calls + 1))
    else:
        assert asyncio.run(scene.micro_model(tmp_path, budget__calls=calls + 1)).status == "budget"
    assert len(scene.met) == 1
    assert kept(tmp_path)[:2] == (("failed", 0) if fails else ("budget", 1))
    assert resumed(tmp_path) == whole


def first_batch(folder: Path) -> list[str]:
    """The digests of its calls in the run that was not held back."""
    with RunStore.open(f"sqlite:///{folder}/ace.db", create=False) as store:
        return [call.digest for call in store.calls(store.resolve("latest"), batch=0)]


@pytest.mark.parametrize("ahead", [0, 1])
def test_a_store_in_memory_leads_to_the_same(tmp_path: Path, ahead: int) -> None:
    """Its one connection is used by the loop and by the commits' thread, in turns."""
    summaries = [
        asyncio.run(
            run(
                settings(tmp_path, **OPTIONS, store=store, adaptation__pipeline=ahead),
                backends=all_roles(ScriptedBackend(micro_model)),
            )
        )
        for store in ("sqlite://", f"sqlite:///{tmp_path}/ace.db")
    ]
    for fact in ("status", "accuracy_after", "playbook_version", "playbook_bullets", "calls", "tokens"):
        assert getattr(summaries[0], fact) == getattr(summaries[1], fact)
