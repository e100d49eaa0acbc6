"""The whole loop on the weights of a real instruct model, where `ACE_REAL_MODEL` names its folder."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from micro_runs import settings

from ace.config import RunSettings
from ace.engine import RunSummary, run
from ace.store import RunStore

MODEL = os.environ.get("ACE_REAL_MODEL", "")
pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not MODEL, reason="ACE_REAL_MODEL names no folder with a real model"),
]


def small_run(folder: Path) -> RunSettings:
    """Ten tickets in one batch, reflected on by desk, and five unseen ones before and after."""
    return settings(
        folder,
        prompts="standard",
        task={"name": "routing", "routing": {"level": "easy", "train": 10, "validation": 0, "test": 5}},
        models={"main": {"provider": "auto", "model": MODEL, "max_model_len": 2048}},
        roles={
            "generator": {"max_tokens": 160, "temperature": 0.0, "reasoning": False},
            "reflector": {"max_tokens": 256, "temperature": 0.0},
        },
        adaptation={
            "batch_size": 10,
            "max_rounds": 0,
            "reflect_together": 6,
            "curation": "append",  # a curator of this size proposes nothing
            "reflect_on_success": False,
        },
    )


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunSummary, RunStore]]:
    folder = tmp_path_factory.mktemp("real")
    chosen = small_run(folder)
    summary = asyncio.run(run(chosen))
    with RunStore.open(chosen.store, create=False) as store:
        yield summary, store


def test_every_answer_of_every_role_can_be_read(learned: tuple[RunSummary, RunStore]) -> None:
    summary, store = learned
    calls = store.calls(summary.run)
    assert {call.role for call in calls} == {"generator", "reflector"}
    unreadable = [call.error for call in calls if not call.parsed]
    assert summary.failed_samples == 0 and len(unreadable) <= len(calls) // 20, unreadable


def test_the_playbook_grows_and_its_bullets_are_sentences_of_its_own(learned: tuple[RunSummary, RunStore]) -> None:
    summary, store = learned
    bullets = store.playbook(summary.run).bullets
    assert bullets
    assert all(len(bullet.content.split()) > 2 for bullet in bullets)


def test_answers_name_only_bullets_that_were_shown_and_are_written_with_blanks(
    learned: tuple[RunSummary, RunStore],
) -> None:
    summary, store = learned
    known = {bullet.id for bullet in store.playbook(summary.run).bullets}
    for call in store.calls(summary.run):
        if call.role != "generator" or not call.parsed:
            continue
        answer = json.loads(call.text)
        assert set(answer.get("bullet_ids", [])) <= known
        assert re.match(r'\{"(bullet_ids|reasoning|final_answer)": ', call.text)


def test_the_roles_share_their_prefix_in_the_engine(learned: tuple[RunSummary, RunStore]) -> None:
    summary, store = learned
    last = [call.usage for call in store.calls(summary.run) if call.role == "generator"][-4:]
    assert all(usage.cached_tokens >= 64 for usage in last)
