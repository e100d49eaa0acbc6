"""Growth in shards, with a scripted model on the micro world."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from micro_runs import all_roles, micro_backend, settings

from ace.config import RunSettings
from ace.errors import ConfigError
from ace.experiments import ShardedGrowth, grow_in_shards
from ace.experiments.sharded_growth import merge_tree
from ace.inference import ScriptedBackend
from ace.playbook import Add, Delta, NgramEmbedder, Playbook, Remove, apply, render
from ace.playbook.playbook import Section
from ace.prompts import load_pack
from ace.store import RunStore

BUDGET = 15


def grow(
    base: RunSettings, *shards: int, merge_every: int = 1, backend: ScriptedBackend | None = None
) -> tuple[ShardedGrowth, ...]:
    backends = all_roles(backend or micro_backend())
    return asyncio.run(grow_in_shards(base, shards, merge_every=merge_every, backends=backends))


def small(tmp_path: Path) -> RunSettings:
    return settings(tmp_path, task__micro__train=8, task__micro__test=2)


def contents(playbook: Playbook) -> set[str]:
    return {bullet.content for bullet in playbook.bullets}


@pytest.mark.slow
def test_shards_learn_what_one_stream_learns(tmp_path: Path) -> None:
    one, two, four = grow(small(tmp_path), 1, 2, 4)
    assert contents(two.playbook) == contents(one.playbook) == contents(four.playbook)
    assert one.accuracy == two.accuracy == four.accuracy == 1.0
    assert sum(each.samples for each in one.rounds) == sum(each.samples for each in four.rounds)
    assert [len(growth.rounds) for growth in (one, two, four)] == [4, 2, 1]
    assert len(four.rounds[0].runs) == 4


def test_merged_shards_are_within_the_token_budget(tmp_path: Path) -> None:
    base = settings(tmp_path, task__micro__train=8, task__micro__test=2, playbook__token_budget=BUDGET)
    (four,) = grow(base, 4)
    rendered = render(four.playbook, load_pack(base.prompts).formats)
    assert 0 < micro_backend().count_tokens(rendered) <= BUDGET


def test_a_repetition_asks_no_model_and_gives_the_same_playbook(tmp_path: Path) -> None:
    (first,) = grow(small(tmp_path), 2, merge_every=2)

    def never(request: object) -> str:
        raise AssertionError("a model was asked")

    (again,) = grow(small(tmp_path), 2, merge_every=2, backend=ScriptedBackend(never))
    assert again.playbook == first.playbook and again.rounds == first.rounds
    with RunStore.open(small(tmp_path).store, create=False) as store:
        assert all(store.run(run).status == "done" for each in first.rounds for run in each.runs)


def test_the_merge_depends_on_the_order_of_the_shards_alone() -> None:
    base = apply(
        Playbook.empty((Section("rules", "Rules"),)), Delta((Add("rules", "common"), Add("rules", "obsolete")))
    ).playbook
    grown = [apply(base, Delta((Add("rules", text),))).playbook for text in ("one", "two", "three", "two")]
    grown[2] = apply(grown[2], Delta((Remove(base.bullets[1].id),))).playbook
    merged, conflicts, duplicates = merge_tree(grown, base, NgramEmbedder(), 0.92)
    assert [bullet.content for bullet in merged.bullets] == ["common", "one", "two", "three"]
    assert (conflicts, duplicates) == (0, 1)
    assert merge_tree(grown, base, NgramEmbedder(), 0.92)[0] == merged
    assert merge_tree(grown[:1], base, NgramEmbedder(), 0.92) == (grown[0], 0, 0)


@pytest.mark.parametrize(
    ("key", "changes"),
    [
        ("mode", {"mode": "online"}),
        ("adaptation.batch_size", {"adaptation": {"batch_size": "auto"}}),
        ("adaptation.method", {"adaptation": {"method": "rewrite"}}),
    ],
)
def test_settings_that_do_not_go_with_shards_are_refused(tmp_path: Path, key: str, changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as error:
        grow(settings(tmp_path, **changes), 2)
    assert error.value.facts["key"] == key
