"""Batches that overlap: what they lead to depends on the settings alone, and what was answered is not asked again."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from micro_runs import all_roles, micro_backend, micro_model, role_of, settings
from pydantic import ValidationError

from ace.engine import Event, RunSummary, run
from ace.engine.concurrency.admission_window import Window
from ace.engine.events import BatchCommitted, BatchStarted, SampleFinished
from ace.errors import ConfigError, EngineDeadError, InterruptedRunError
from ace.experiments.grid import baseline_runs
from ace.inference import ScriptedBackend
from ace.playbook import Playbook
from ace.store import RunStore
from ace.types import Completion, Request

OPTIONS: dict[str, Any] = {
    "adaptation__pipeline": 1,
    "adaptation__epochs": 2,
    "task__micro__train": 12,
    "task__micro__terms": 6,
    "evaluation__before": False,
}


class Uneven(ScriptedBackend):
    """Plays after as many turns of the loop as `draw` says, counts who waits, and raises `error` at call `hit`."""

    def __init__(
        self,
        script: Callable[[Request], str] = micro_model,
        *,
        seed: int = 0,
        error: BaseException | None = None,
        hit: int | None = None,
    ) -> None:
        super().__init__(script)
        self._draw = random.Random(seed)
        self._error, self._hit = error, hit
        self._calls = 0

    async def complete(self, request: Request) -> Completion:
        number, self._calls = self._calls, self._calls + 1
        for _ in range(self._draw.randint(1, 12)):
            await asyncio.sleep(0)
        if self._error is not None and number == self._hit:
            raise self._error
        return await super().complete(request)


def go(folder: Path, backend: ScriptedBackend, resume: str | None = None, **changes: Any) -> RunSummary:
    folder.mkdir(exist_ok=True)
    options = {**OPTIONS, **changes}
    return asyncio.run(run(settings(folder, **options), backends=all_roles(backend), resume=resume))


def told(folder: Path, **changes: Any) -> list[Event]:
    """The events of a whole run."""
    folder.mkdir(exist_ok=True)
    events: list[Event] = []
    options = {**OPTIONS, **changes}
    asyncio.run(run(settings(folder, **options), backends=all_roles(Uneven()), listener=events.append))
    return events


def end(folder: Path) -> tuple[list[Any], list[Any]]:
    """Playbook after playbook, without the run's name, and all outcomes."""
    with RunStore.open(f"sqlite:///{folder}/ace.db", create=False) as store:
        name = store.resolve("latest")
        playbooks = [store.playbook_after(name, batch) for batch in range(-1, len(store.batches(name)))]
        return [bare(playbook, name) for playbook in playbooks], list(store.outcomes(name))


def bare(playbook: Playbook, name: str) -> Any:
    return json.loads(json.dumps(playbook.to_json()).replace(name, "RUN"))


@pytest.mark.parametrize(
    ("mode", "size", "ahead"),
    [
        ("offline", 2, 0),
        ("offline", 1, 1),
        ("offline", 3, 1),
        ("offline", "auto", 1),
        ("offline", 12, 1),
        ("online", 2, 0),
        ("online", 3, 1),
    ],
)
def test_each_batch_works_behind_the_version_of_the_one_before_the_last(
    tmp_path: Path, mode: str, size: int | str, ahead: int
) -> None:
    events = told(tmp_path, mode=mode, adaptation__batch_size=size, adaptation__pipeline=ahead)
    started = [event for event in events if isinstance(event, BatchStarted)]
    committed = [event for event in events if isinstance(event, BatchCommitted)]
    assert [event.index for event in started] == [event.index for event in committed] == list(range(len(started)))
    led_to = {-1: 0, **{event.index: event.playbook_version for event in committed}}
    first = {event.epoch: event.index for event in reversed(started)}
    for event in started:
        assert event.playbook_version == led_to[max(first[event.epoch], event.index - ahead) - 1]


def test_the_next_batch_begins_while_the_last_samples_reflect_and_no_more_are_under_way(tmp_path: Path) -> None:
    began = finished = most = early = 0

    def listen(event: Event) -> None:
        nonlocal finished
        finished += isinstance(event, SampleFinished)

    def watch(request: Request) -> str:
        nonlocal began, most, early
        if role_of(request) == "generator" and "REFLECTION" not in request.messages[-1].content:
            began += 1
            most = max(most, began - finished)
            early += began > 3 and finished % 3 != 0
        return micro_model(request)

    changes = {"adaptation__epochs": 1, "adaptation__batch_size": 3, "adaptation__validate_each_epoch": False}
    options = {**OPTIONS, **changes, "evaluation__after": False}
    asyncio.run(run(settings(tmp_path, **options), backends=all_roles(Uneven(watch)), listener=listen))
    assert (began, finished, most) == (12, 12, 3)
    assert early > 0


def test_speed_decides_nothing(tmp_path: Path) -> None:
    for seed in range(3):
        go(tmp_path / str(seed), Uneven(seed=seed), adaptation__batch_size=3)
    assert end(tmp_path / "0") == end(tmp_path / "1") == end(tmp_path / "2")


def test_a_batch_learns_from_the_newest_playbook(tmp_path: Path) -> None:
    """Both batches discover the same words; the second's curator sees what the first one added."""
    go(tmp_path, micro_backend(), adaptation__batch_size=6)
    with RunStore.open(f"sqlite:///{tmp_path}/ace.db", create=False) as store:
        bullets = store.playbook(store.resolve("latest")).bullets
    assert len({bullet.content for bullet in bullets}) == len(bullets) > 0


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The folder of a run that nothing broke off, and the digests of what it asked."""
    folder, backend = tmp_path_factory.mktemp("whole"), Uneven()
    go(folder, backend, adaptation__batch_size=3)
    return folder, sorted(request.digest for request in backend.requests)


@pytest.mark.parametrize("stop", [4, 13, 22, 31, 40, 49])
@pytest.mark.parametrize("error", [asyncio.CancelledError(), EngineDeadError("gone")], ids=["interrupt", "death"])
@pytest.mark.slow
def test_a_run_broken_off_is_resumed_to_the_same_end_and_asks_nothing_twice(
    tmp_path: Path, whole: tuple[Path, list[str]], stop: int, error: BaseException
) -> None:
    with pytest.raises((InterruptedRunError, EngineDeadError)):
        go(tmp_path, Uneven(error=error, hit=stop), adaptation__batch_size=3)
    with RunStore.open(f"sqlite:///{tmp_path}/ace.db", create=False) as store:
        name = store.resolve("latest")
        kept = [call.digest for call in store.calls(name)] + [entry.digest for entry in store.journal(name)]
        for evaluation in store.evaluations(name):
            kept += [call.digest for call in store.calls(name, evaluation=evaluation.index)]
    rest = Uneven(seed=1)
    go(tmp_path, rest, resume="latest", adaptation__batch_size=3)
    folder, everything = whole
    assert end(tmp_path) == end(folder)
    assert sorted([*kept, *(request.digest for request in rest.requests)]) == everything


def test_a_budget_ends_both_batches_and_a_larger_one_goes_on(tmp_path: Path, whole: tuple[Path, list[str]]) -> None:
    first, rest = Uneven(), Uneven()
    assert go(tmp_path, first, adaptation__batch_size=3, budget__calls=20).status == "budget"
    go(tmp_path, rest, resume="latest", adaptation__batch_size=3)
    folder, everything = whole
    assert end(tmp_path) == end(folder)
    assert len(first.requests) + len(rest.requests) == len(everything)


def test_an_answer_that_names_a_bullet_it_cannot_have_seen_counts_for_none(tmp_path: Path) -> None:
    def seer(request: Request) -> str:
        said = json.loads(micro_model(request))
        if role_of(request) == "generator":
            said["bullet_ids"] = ["trm-00001"]
        if role_of(request) == "reflector":
            said["bullet_tags"] = [{"id": "trm-00001", "tag": "helpful"}]
        return json.dumps(said)

    changes: dict[str, Any] = {"task__micro__train": 6, "adaptation__epochs": 1, "adaptation__batch_size": 3}
    go(tmp_path, ScriptedBackend(seer), **changes)
    with RunStore.open(f"sqlite:///{tmp_path}/ace.db", create=False) as store:
        first = store.playbook(store.resolve("latest")).get("trm-00001")
    assert first is not None
    assert (first.counters.uses, first.counters.helpful) == (0, 0)


@pytest.mark.parametrize("method", ["icl", "empty"])
def test_methods_that_reflect_on_nothing_have_no_pipeline(tmp_path: Path, method: str) -> None:
    with pytest.raises((ConfigError, ValidationError), match="pipeline"):
        settings(tmp_path, adaptation__pipeline=1, adaptation__method=method)


def test_baselines_of_a_pipelined_run_can_be_made(tmp_path: Path) -> None:
    cells = baseline_runs(settings(tmp_path, adaptation__pipeline=1))
    assert [cell.settings.adaptation.pipeline for cell in cells] == [1, 0, 1, 0, 0]


def test_a_rewritten_playbook_can_be_pipelined(tmp_path: Path) -> None:
    go(tmp_path / "one", Uneven(seed=1), adaptation__batch_size=3, adaptation__method="rewrite")
    go(tmp_path / "two", Uneven(seed=2), adaptation__batch_size=3, adaptation__method="rewrite")
    assert end(tmp_path / "one") == end(tmp_path / "two")


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 6), st.booleans()), max_size=20))
def test_a_window_admits_in_order_and_never_too_many(asked: list[tuple[int, int, bool]]) -> None:
    """Whoever is cancelled, waiting or inside, neither keeps a place nor the others."""
    window = Window()
    inside: list[int] = []
    admitted: list[int] = []

    async def enter(number: int, width: int, turns: int) -> None:
        async with window.place(width):
            admitted.append(number)
            inside.append(number)
            assert len(inside) <= max(width, 1)
            try:
                for _ in range(turns):
                    await asyncio.sleep(0)
            finally:
                inside.remove(number)

    async def all_of_them() -> None:
        tasks = [asyncio.create_task(enter(n, width, turns)) for n, (width, turns, _) in enumerate(asked)]
        await asyncio.sleep(0)
        for task, (_, _, cancelled) in zip(tasks, asked, strict=True):
            if cancelled:
                task.cancel()
        results = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
        assert all(result is None or isinstance(result, asyncio.CancelledError) for result in results)
        async with window.place(1):  # nobody holds a place any more
            assert inside == []

    asyncio.run(all_of_them())
    assert admitted == sorted(admitted)
