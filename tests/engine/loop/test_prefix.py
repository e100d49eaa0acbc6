"""The layout of whole runs' prompts, from what was really asked: one prefix, which only grows between compactions."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
from micro_runs import all_roles, role_of, settings

from ace.engine import RunSummary, run
from ace.engine.events import BatchStarted, Event
from ace.errors import InterruptedRunError
from ace.inference import ScriptedBackend
from ace.playbook import Bullet, Playbook, read_playbook, render, write_playbook
from ace.playbook.bullet import bullet_id
from ace.prompts import load_pack
from ace.store import BatchInfo, RunStore
from ace.tasks.micro.micro_world import make_world
from ace.tasks.micro.scripted_model import ScriptedMicroModel
from ace.types import Completion, Request

WORLD: dict[str, Any] = {
    "task": {
        "name": "micro",
        "micro": {"seed": 5, "terms": 8, "modifiers": 6, "train": 24, "validation": 6, "test": 10},
    },
    "adaptation__batch_size": 6,
    "adaptation__epochs": 3,
    "adaptation__validate_each_epoch": False,
    "evaluation__before": False,
    "evaluation__after": False,
    "cache": "none",
}
OWN = make_world(5, 8, 6, train=24, validation=6, test=10)
_player = ScriptedMicroModel(slips=0.3)


def restless(request: Request) -> str:
    """Learns wrong rules now and then, which are updated later, and has its curator merge and remove bullets, too."""
    answer = _player(request)
    if role_of(request) != "curator":
        return answer
    curation = json.loads(answer)
    ids = re.findall(r"\[([a-z]{3}-\d{5})\]", request.messages[0].content)
    turn = int(request.digest[-2:], 16)
    if len(ids) > 4 and turn % 3 == 0:
        curation["operations"].append({"type": "REMOVE", "id": ids[turn % len(ids)]})
    if len(ids) > 4 and turn % 3 == 1:
        curation["operations"].append({"type": "MERGE", "ids": ids[1:3], "content": f"both of {turn}"})
    return json.dumps(curation)


class RequestRecorder(ScriptedBackend):
    """Keeps the requests batch by batch; the call number `stop` is cancelled."""

    def __init__(self, answers: Any = restless, stop: int | None = None) -> None:
        super().__init__(answers)
        self.batches: dict[int, list[Request]] = {}
        self._now = -1
        self._stop = stop

    def listen(self, event: Event) -> None:
        if isinstance(event, BatchStarted):
            self._now = event.index

    async def complete(self, request: Request) -> Completion:
        if len(self.requests) == self._stop:
            raise asyncio.CancelledError
        self.batches.setdefault(self._now, []).append(request)
        return await super().complete(request)


def go(folder: Path, backend: RequestRecorder, *, resume: str | None = None, **changes: Any) -> RunSummary:
    chosen = settings(folder, **{**WORLD, **changes})
    return asyncio.run(run(chosen, backends=all_roles(backend), listener=backend.listen, resume=resume))


def batches(folder: Path) -> tuple[BatchInfo, ...]:
    with RunStore.open(f"sqlite:///{folder}/ace.db", create=False) as store:
        return store.batches(store.resolve("latest"))


@pytest.mark.parametrize("compaction", ["epoch", "never", "auto"])
def test_the_prefix_is_one_and_only_grows_between_compactions(tmp_path: Path, compaction: str) -> None:
    backend = RequestRecorder()
    go(tmp_path, backend, playbook__compaction=compaction)
    prefixes = []
    for index in sorted(backend.batches):
        asked = backend.batches[index]
        assert {role_of(request) for request in asked} >= {"generator", "reflector"}
        assert [message.role for message in asked[0].messages] == ["system", "user"]
        (prefix,) = {request.messages[0].content for request in asked}
        prefixes.append(prefix)
    committed = batches(tmp_path)
    assert len(prefixes) == len(committed) == 12
    changed = 0
    for (before, after), batch in zip(itertools.pairwise(prefixes), committed, strict=False):
        if not before.endswith("(empty)") and not batch.compacted:
            assert (after + "\n").startswith(before + "\n")
            changed += after != before
    assert changed > 1
    assert any(batch.compacted for batch in committed) == (compaction != "never")
    kinds = {kind for prefix in prefixes for kind in re.findall(r"^(now|removed) ", prefix, re.MULTILINE)}
    assert kinds == {"now", "removed"}


def test_nothing_but_bullets_is_in_the_prefix(tmp_path: Path) -> None:
    """Counters, versions, steps and dates change all the time, and would make every prompt new."""
    backend = RequestRecorder()
    go(tmp_path, backend)
    preamble = load_pack("micro").preamble
    line = re.compile(r"(?:now |removed )?(?:\w+ -> \w+|both of \d+) \[(?:trm|mod)-\d{5}\]")
    curated = 0
    for request in backend.requests:
        first, *lines = request.messages[0].content.split("\n")
        assert first == preamble
        assert lines == ["(empty)"] or all(line.fullmatch(text) for text in lines)
        curated += role_of(request) == "curator"
    assert curated > 3


@pytest.mark.slow
def test_compaction_by_cost_depends_on_the_price_and_is_the_same_after_a_resume(tmp_path: Path) -> None:
    ends = {}
    for name, price in (("free", 0.0), ("dear", 1.0)):
        (tmp_path / name).mkdir()
        go(tmp_path / name, RequestRecorder(), playbook__compaction="auto", playbook__cached_token_cost=price)
        ends[name] = [batch.compacted for batch in batches(tmp_path / name)]
    assert not any(ends["free"])
    assert any(ends["dear"][:-1]) and not all(ends["dear"])
    for stop in (40, 110):
        folder = tmp_path / str(stop)
        folder.mkdir()
        auto: dict[str, Any] = {"playbook__compaction": "auto", "playbook__cached_token_cost": 1.0}
        with pytest.raises(InterruptedRunError):
            go(folder, RequestRecorder(stop=stop), **auto)
        go(folder, RequestRecorder(), resume="latest", **auto)
        assert [(b.compacted, b.window) for b in batches(folder)] == [
            (b.compacted, b.window) for b in batches(tmp_path / "dear")
        ]


def large_playbook(folder: Path) -> Path:
    """Rules of this world and, before them, of another."""
    pack = load_pack("micro")
    rules = (*make_world(900, 20, 10, train=0, validation=0, test=0).rules, *OWN.rules[:4])
    bullets = [Bullet(bullet_id(rule.section, n), rule.section, rule.content) for n, rule in enumerate(rules, 1)]
    path = folder / "large.json"
    write_playbook(Playbook.of(bullets, pack.sections), path)
    return path


def test_an_epoch_shows_one_working_set_and_a_resumed_run_the_same(tmp_path: Path) -> None:
    initial = large_playbook(tmp_path)
    changes: dict[str, Any] = {"playbook__initial": str(initial), "playbook__working_set": {"tokens": 40}}
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    backend = RequestRecorder()
    summary = go(whole, backend, **changes)
    prefixes = [{request.messages[0].content for request in backend.batches[index]} for index in range(12)]
    assert all(len(prefix) == 1 for prefix in prefixes)
    everything = render(read_playbook(initial), load_pack("micro").formats)
    first = next(iter(prefixes[0]))
    assert 5 < len(first.split("\n")) <= 11 < len(everything.split("\n"))
    for before, after in itertools.pairwise(range(4)):
        assert next(iter(prefixes[after])).startswith(next(iter(prefixes[before])))
    assert summary.playbook_bullets > 30
    with pytest.raises(InterruptedRunError):
        go(broken, RequestRecorder(stop=75), **changes)
    again = RequestRecorder()
    go(broken, again, resume="latest", **changes)
    asked = {request.digest for request in backend.requests}
    assert again.requests and {request.digest for request in again.requests} <= asked


def test_a_set_that_holds_everything_changes_nothing(tmp_path: Path) -> None:
    asked = []
    sets: dict[str, dict[str, Any]] = {"with": {"playbook__working_set": {"tokens": 10_000}}, "without": {}}
    for name, changes in sets.items():
        (tmp_path / name).mkdir()
        backend = RequestRecorder()
        go(tmp_path / name, backend, evaluation__after=True, **changes)
        asked.append([request.digest for request in backend.requests])
    assert asked[0] == asked[1]


def test_an_evaluation_shows_what_its_own_questions_need(tmp_path: Path) -> None:
    changes: dict[str, Any] = {
        "mode": "evaluate",
        "evaluation__after": True,
        "playbook__initial": str(large_playbook(tmp_path)),
    }
    backend = RequestRecorder()
    go(tmp_path, backend, playbook__working_set={"tokens": 40}, **changes)
    (prefix,) = {request.messages[0].content for request in backend.requests}
    assert len(prefix.split("\n")) == 11
    asked = " ".join(question.text for question in OWN.split("test"))
    known = [rule.content for rule in OWN.rules[:4] if rule.word in asked]
    assert len(known) > 1 and all(content in prefix for content in known)
