"""Whole runs with a model that makes no mistake, and what the store holds of them."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import pytest
from micro_runs import all_roles, micro_backend, role_of, settings

from ace.engine import Event, RunSummary, run
from ace.engine.events import BatchCommitted, EvaluationFinished, RunFinished
from ace.playbook import apply
from ace.store import RunStore
from ace.tasks.micro.micro_world import make_world
from ace.types import ROLES


def go(folder: Path, **changes: object) -> RunSummary:
    return asyncio.run(run(settings(folder, **changes), backends=all_roles(micro_backend())))


def test_offline_learns_the_world(tmp_path: Path) -> None:
    events: list[Event] = []
    summary = asyncio.run(run(settings(tmp_path), backends=all_roles(micro_backend()), listener=events.append))
    assert (summary.accuracy_before, summary.accuracy_after) == (0.0, 1.0)
    assert (summary.status, summary.samples, summary.failed_samples, summary.parse_failures) == ("done", 6, 0, 0)
    world = make_world(3, 4, 3, train=6, validation=2, test=4)
    with RunStore.open(f"sqlite:///{tmp_path}/ace.db", create=False) as store:
        playbook = store.playbook(summary.run, summary.playbook_version)
        assert {b.content for b in playbook.bullets} == {rule.content for rule in world.rules}
        assert {b.section for b in playbook.bullets} == {"trm", "mod"}
        assert all(b.created.run == summary.run and b.created.role == "curator" for b in playbook.bullets)
        calls = store.usage_by_role(summary.run)
        assert summary.calls == {role: calls[role].calls for role in ROLES}
        assert store.run(summary.run).status == "done"
        assert [e.label for e in store.evaluations(summary.run)] == ["before", "validation", "after"]
    assert [e.index for e in events if isinstance(e, BatchCommitted)] == [0, 1, 2]
    assert [e.label for e in events if isinstance(e, EvaluationFinished)] == ["before", "validation", "after"]
    assert events[-1] == RunFinished(summary.run, "done")


def test_counters_come_from_tags_and_uses(tmp_path: Path) -> None:
    summary = go(tmp_path, adaptation__epochs=2)
    with RunStore.open(f"sqlite:///{tmp_path}/ace.db", create=False) as store:
        bullets = store.playbook(summary.run).bullets
    assert all(b.counters.harmful == 0 for b in bullets)
    # In the second epoch every sample is right, uses its two bullets and tags both as helpful.
    assert sum(b.counters.uses for b in bullets) >= 12
    assert sum(b.counters.helpful for b in bullets) >= 12


def test_batch_size_one_is_the_papers_loop(tmp_path: Path) -> None:
    backend = micro_backend()
    changes = {"adaptation__batch_size": 1, "evaluation__before": False, "evaluation__after": False}
    asyncio.run(run(settings(tmp_path, adaptation__validate_each_epoch=False, **changes), backends=all_roles(backend)))
    roles = [role_of(request) for request in backend.requests]
    assert roles[:4] == ["generator", "reflector", "generator", "curator"]
    assert "REFLECTION" in backend.requests[2].messages[-1].content
    # The next sample sees what the first one taught.
    assert backend.requests[4].messages[0].content.count("->") == 2


def test_without_reflection_on_success_right_answers_cost_one_call(tmp_path: Path) -> None:
    changes = {"adaptation__epochs": 2, "adaptation__reflect_on_success": False, "adaptation__batch_size": 6}
    summary = go(tmp_path, **changes)
    with RunStore.open(f"sqlite:///{tmp_path}/ace.db", create=False) as store:
        second = [call.role for call in store.calls(summary.run, batch=1)]
    assert second == ["generator"] * 6


def test_online_predicts_each_window_before_it_learns_from_it(tmp_path: Path) -> None:
    summary = go(tmp_path, mode="online", adaptation__batch_size=3)
    assert summary.accuracy_online is not None
    with RunStore.open(f"sqlite:///{tmp_path}/ace.db", create=False) as store:
        outcomes = store.outcomes(summary.run)
        first_window = store.outcomes(summary.run, batch=0)
    assert all(outcome.first_correct is False and outcome.correct for outcome in first_window)
    assert summary.accuracy_online == sum(o.first_correct is True for o in outcomes) / 6
    train = make_world(3, 4, 3, train=6, validation=2, test=4).split("train")
    assert [o.sample_id for o in outcomes] == [question.id for question in train]


def test_evaluate_learns_nothing(tmp_path: Path) -> None:
    summary = go(tmp_path, mode="evaluate")
    assert (summary.accuracy_before, summary.accuracy_after) == (None, 0.0)
    assert (summary.samples, summary.calls["reflector"], summary.calls["curator"]) == (0, 0, 0)


def test_the_prefix_of_each_batch_extends_the_one_before(tmp_path: Path) -> None:
    backend = micro_backend()
    asyncio.run(run(settings(tmp_path, adaptation__validate_each_epoch=False), backends=all_roles(backend)))
    prefixes = list(dict.fromkeys(request.messages[0].content for request in backend.requests))
    assert len(prefixes) > 2
    for before, after in itertools.pairwise(prefixes[1:]):
        assert after.startswith(before)


def test_the_token_budget_holds(tmp_path: Path) -> None:
    summary = go(tmp_path, playbook__token_budget=8)
    with RunStore.open(f"sqlite:///{tmp_path}/ace.db", create=False) as store:
        # A line such as `kujant -> KQT [trm-00001]` is four words, which is how the script counts tokens.
        assert all(len(store.playbook(summary.run, v.version)) <= 2 for v in store.playbook_versions(summary.run))
        assert any(v.operations.get("REMOVE") for v in store.playbook_versions(summary.run))


@pytest.mark.parametrize("size", [1, 2, 6])
def test_the_same_settings_give_the_same_playbook(tmp_path: Path, size: int) -> None:
    digests = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        summary = go(folder, adaptation__batch_size=size)
        with RunStore.open(f"sqlite:///{folder}/ace.db", create=False) as store:
            digests.append([b.content for b in store.playbook(summary.run).bullets])
    assert digests[0] == digests[1]


@pytest.mark.parametrize("budget", [8192, 20])
def test_the_stored_deltas_replay_to_the_stored_playbooks(tmp_path: Path, budget: int) -> None:
    summary = go(tmp_path, adaptation__epochs=3, playbook__token_budget=budget)
    with RunStore.open(f"sqlite:///{tmp_path}/ace.db", create=False) as store:
        deltas, batches = store.deltas(summary.run), store.batches(summary.run)
        for _ in range(2):  # replaying is not counting again: every time from the beginning to the same end
            playbook = store.playbook(summary.run, 0)
            for done, committed in zip(deltas, batches, strict=True):
                playbook = apply(playbook.compacted() if committed.compacted else playbook, done.delta).playbook
                assert playbook.bullets == store.playbook_after(summary.run, committed.index).bullets
        assert sum(bullet.counters.uses for bullet in playbook.bullets) > 0
