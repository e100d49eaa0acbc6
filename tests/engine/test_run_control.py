"""Pause and stop, as somebody requests them through the store while a run is going on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from micro_runs import all_roles, micro_model, settings

from ace.config import RunSettings
from ace.engine import Event, run
from ace.engine.events import (
    BatchCommitted,
    CallClosed,
    CallOpened,
    RunContinued,
    RunFinished,
    RunPaused,
    RunStarted,
    RunStopping,
)
from ace.errors import InterruptedRunError
from ace.inference import ScriptedBackend
from ace.store import RunStore
from ace.store.records import Control
from ace.types import Completion, Request


class Interfering(ScriptedBackend):
    """Answers, and requests `control` once the first batch is committed. Calls then wait until it is honoured."""

    def __init__(self, chosen: RunSettings, control: Control) -> None:
        super().__init__(micro_model)
        self._settings, self._control = chosen, control
        self._run = ""
        self._honoured: asyncio.Event | None = None
        self.events: list[Event] = []
        self.calls_at_pause = self.calls_at_end_of_pause = 0

    async def complete(self, request: Request) -> Completion:
        if self._honoured is not None:
            await self._honoured.wait()
        return await super().complete(request)

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        match event:
            case RunStarted(run=identity):
                self._run = identity
            case BatchCommitted(index=0) if self._honoured is None:
                self._honoured = asyncio.Event()
                self._request(self._control)
            case RunPaused() if self._honoured is not None:
                self._honoured.set()
                loop = asyncio.get_running_loop()
                loop.call_later(0.1, self._look)
                loop.call_later(0.4, self._go_on)
            case _:
                pass

    def _look(self) -> None:
        self.calls_at_pause = len(self.requests)

    def _go_on(self) -> None:
        self.calls_at_end_of_pause = len(self.requests)
        with RunStore.open(self._settings.store, create=False) as store:
            assert store.run(self._run).paused is not None
        self._request(None)

    def _request(self, control: Control | None) -> None:
        with RunStore.open(self._settings.store, create=False) as store:
            store.request_control(self._run, control)


def undisturbed(folder: Path) -> str:
    chosen = settings(folder, name="undisturbed")
    summary = asyncio.run(run(chosen, backends=all_roles(ScriptedBackend(micro_model))))
    with RunStore.open(chosen.store, create=False) as store:
        return "\n".join(bullet.content for bullet in store.playbook(summary.run).bullets)


@pytest.mark.slow
def test_a_paused_run_makes_no_call_and_then_comes_to_the_same_end(tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    backend = Interfering(chosen, "pause")
    summary = asyncio.run(run(chosen, backends=all_roles(backend), listener=backend))
    assert summary.status == "done"
    assert backend.calls_at_pause == backend.calls_at_end_of_pause > 0
    assert RunPaused(summary.run) in backend.events and RunContinued(summary.run) in backend.events
    with RunStore.open(chosen.store, create=False) as store:
        contents = "\n".join(bullet.content for bullet in store.playbook(summary.run).bullets)
        assert store.run(summary.run).paused is None
    assert contents == undisturbed(tmp_path)


@pytest.mark.slow
def test_a_stopped_run_is_interrupted_and_can_be_resumed(tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    backend = Interfering(chosen, "stop")
    with pytest.raises(InterruptedRunError, match="was stopped; its committed batches are safe") as stopped:
        asyncio.run(run(chosen, backends=all_roles(backend), listener=backend))
    identity = stopped.value.facts["run"]
    steps = [event for event in backend.events if not isinstance(event, CallOpened | CallClosed)]
    assert steps[-2:] == [RunStopping(identity), RunFinished(identity, "interrupted")]
    with RunStore.open(chosen.store, create=False) as store:
        assert (store.run(identity).status, store.control(identity)) == ("interrupted", None)
    summary = asyncio.run(run(chosen, backends=all_roles(ScriptedBackend(micro_model)), resume=identity))
    assert (summary.run, summary.status) == (identity, "done")
    with RunStore.open(chosen.store, create=False) as store:
        contents = "\n".join(bullet.content for bullet in store.playbook(identity).bullets)
    assert contents == undisturbed(tmp_path)


def test_every_call_of_a_run_has_its_prompt_in_the_store(tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    backend = ScriptedBackend(micro_model)
    for _ in range(2):  # the second run is answered by the completion cache
        summary = asyncio.run(run(chosen, backends=all_roles(backend)))
        with RunStore.open(chosen.store, create=False) as store:
            calls = store.calls(summary.run, evaluation=0) + store.calls(summary.run)
            prompts = {call.digest: store.prompt(call.digest) for call in calls}
        sent = {request.digest: request.messages for request in backend.requests}
        assert prompts == {digest: sent[digest] for digest in prompts}
