"""The reduce step of batched curation: one more call over what the groups proposed, and none where it is not needed."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from micro_runs import all_roles, micro_model, role_of, settings

from ace.engine import RunSummary, run
from ace.engine.events import CurationFailed, Event
from ace.errors import RequestRejectedError
from ace.inference import ScriptedBackend
from ace.store import RunStore
from ace.types import Request

REDUCE = {"adaptation__curator_reduce": True, "adaptation__batch_size": 6, "adaptation__curator_groups": 3}


def go(folder: Path, backend: ScriptedBackend, **changes: Any) -> tuple[RunSummary, list[Event], list[str]]:
    folder.mkdir()
    events: list[Event] = []
    chosen = settings(folder, **{**REDUCE, **changes})
    summary = asyncio.run(run(chosen, backends=all_roles(backend), listener=events.append))
    with RunStore.open(chosen.store, create=False) as store:
        contents = [bullet.content for bullet in store.playbook(summary.run).bullets]
    return summary, events, contents


def curated(backend: ScriptedBackend) -> list[Request]:
    return [request for request in backend.requests if role_of(request) == "curator"]


def reduces(request: Request) -> bool:
    """Whether this is the call over all groups: their insights are of two samples each, its own of six."""
    return role_of(request) == "curator" and request.messages[-1].content.count("\n- ") > 4


def test_the_groups_proposals_are_the_insights_of_one_more_call(tmp_path: Path) -> None:
    without, with_it = ScriptedBackend(micro_model), ScriptedBackend(micro_model)
    plain, _, contents = go(tmp_path / "without", without, adaptation__curator_reduce=False)
    reduced, _, again = go(tmp_path / "with", with_it)
    assert (plain.calls["curator"], reduced.calls["curator"]) == (3, 4)
    last = curated(with_it)[-1]
    assert sorted(last.messages[-1].content.split("\n")[1:]) == sorted(f"- {content}" for content in contents)
    assert sorted(again) == sorted(contents)
    assert reduced.accuracy_after == 1.0


def test_what_it_proposes_stands_and_what_it_leaves_out_does_not(tmp_path: Path) -> None:
    def picky(request: Request) -> str:
        answer = json.loads(micro_model(request))
        if reduces(request):
            answer["operations"] = answer["operations"][:2]
        return json.dumps(answer)

    _, _, contents = go(tmp_path / "run", ScriptedBackend(picky), evaluation__after=False)
    assert len(contents) == 2


@pytest.mark.parametrize("failure", ["refused", "unreadable", "empty"])
def test_without_its_answer_the_groups_own_changes_stay(tmp_path: Path, failure: str) -> None:
    def failing(request: Request) -> str:
        if not reduces(request):
            return micro_model(request)
        if failure == "refused":
            raise RequestRejectedError("no")
        return "later" if failure == "unreadable" else json.dumps({"reasoning": "", "operations": []})

    _, _, contents = go(tmp_path / "without", ScriptedBackend(micro_model), adaptation__curator_reduce=False)
    summary, events, again = go(tmp_path / "with", ScriptedBackend(failing))
    assert again == contents
    assert summary.parse_failures == (failure == "unreadable")
    failed = [event for event in events if isinstance(event, CurationFailed)]
    assert [event.group for event in failed] == ([3] if failure == "refused" else [])


def test_one_group_is_not_reduced(tmp_path: Path) -> None:
    summary, _, _ = go(tmp_path / "run", ScriptedBackend(micro_model), adaptation__curator_groups=1)
    assert summary.calls["curator"] == 1


def test_without_an_insight_no_curator_is_called(tmp_path: Path) -> None:
    def without_insights(request: Request) -> str:
        answer = json.loads(micro_model(request))
        if role_of(request) == "reflector":
            answer["key_insight"] = " "
        return json.dumps(answer)

    summary, _, contents = go(tmp_path / "run", ScriptedBackend(without_insights), evaluation__after=False)
    assert summary.calls["reflector"] > 0 and summary.calls["curator"] == 0 and contents == []
