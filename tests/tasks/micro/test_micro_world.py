"""Harder micro worlds: codes that change, codes that expire, sentences in the way."""

from __future__ import annotations

from typing import Any

import pytest

from ace.config import MicroSettings
from ace.errors import ConfigError
from ace.tasks.micro.micro_task import MicroTask
from ace.tasks.micro.micro_world import Changes, make_world

SIZES: dict[str, Any] = {"train": 30, "validation": 10, "test": 20}


def test_without_changes_the_world_is_what_it_was() -> None:
    assert make_world(7, 10, 8, **SIZES) == make_world(7, 10, 8, **SIZES, changes=Changes())


def test_drift_gives_new_codes_in_the_middle_of_training() -> None:
    plain, world = make_world(7, 10, 8, **SIZES), make_world(7, 10, 8, **SIZES, changes=Changes(drift=0.5))
    assert len(world.before) == 9
    assert all(world.codes[word] != code for word, code in world.before.items())
    assert not set(world.codes.values()) & {code for word, code in world.before.items()}
    targets = [(a.target, b) for a, b in zip(plain.questions, world.questions, strict=True)]
    assert all(old == new.target for old, new in targets[:15])
    for old, new in targets[15:]:
        changed = new.term in world.before or new.modifier in world.before
        assert (old != new.target) is changed
        assert new.target == f"{world.codes[new.term]}-{world.codes[new.modifier]}"


def test_expired_words_have_no_code_any_more() -> None:
    world = make_world(7, 10, 8, **SIZES, changes=Changes(expiring=0.3))
    gone = set(world.before)
    assert len(gone) == 5
    assert not gone & set(world.codes)
    for number, question in enumerate(world.questions):
        expired = {question.term, question.modifier} & gone
        assert (question.target == "unknown") is (bool(expired) and number >= 15)


def test_distractors_stand_before_the_question() -> None:
    plain, world = make_world(7, 10, 8, **SIZES), make_world(7, 10, 8, **SIZES, changes=Changes(distractors=2))
    for before, after in zip(plain.questions, world.questions, strict=True):
        assert after.text.endswith(before.text)
        assert after.text.count(" .") == before.text.count(" .") + 2
        assert after.target == before.target


def test_the_settings_reach_the_task() -> None:
    task = MicroTask.make(MicroSettings(seed=1, distractors=1, drift=0.2))
    assert all(sample.question.count(" .") == 2 for sample in task.splits.test)


def test_a_word_changes_once() -> None:
    with pytest.raises(ValueError, match=r"at most 0\.4"):
        MicroSettings(drift=0.5, expiring=0.6)
    with pytest.raises(ConfigError, match="pairs"):
        MicroTask.make(MicroSettings(terms=2, modifiers=2))
