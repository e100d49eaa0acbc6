"""Skillbooks of the package ace-framework come in as playbooks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ace.errors import PlaybookFormatError
from ace.playbook import Counters, read_playbook

SKILL = {"id": "a-1", "section": "Common errors", "content": "Check the unit.", "helpful": 3, "harmful": 1}


def read(folder: Path, skills: Any) -> Any:
    path = folder / "book.json"
    path.write_text(json.dumps({"skills": skills, "sections": {}, "next_id": 9}), encoding="utf-8")
    return read_playbook(path)


def test_skills_become_bullets_with_their_counters(tmp_path: Path) -> None:
    other = {"section": "API usage", "content": "Page through results.", "embedding": [0.1], "status": "active"}
    playbook = read(tmp_path, {"a-1": SKILL, "b-2": other})
    assert [(b.content, b.counters) for b in playbook.bullets] == [
        ("Check the unit.", Counters(helpful=3, harmful=1)),
        ("Page through results.", Counters()),
    ]
    assert [section.title for section in playbook.sections] == ["Common errors", "API usage"]


def test_an_invalid_skill_is_quarantined(tmp_path: Path) -> None:
    playbook = read(tmp_path, {"a-1": SKILL | {"status": "invalid"}})
    assert playbook.bullets == () and [b.content for b in playbook.quarantined] == ["Check the unit."]


@pytest.mark.parametrize(
    ("skills", "place"),
    [
        ([], "skills"),
        ({"a": "text"}, "skills.a"),
        ({"a": SKILL | {"content": " "}}, "skills.a.content"),
        ({"a": SKILL | {"section": None}}, "skills.a.section"),
        ({"a": SKILL | {"helpful": -1}}, "skills.a.helpful"),
        ({"a": SKILL | {"neutral": "many"}}, "skills.a.neutral"),
    ],
)
def test_a_malformed_skillbook_names_the_place(tmp_path: Path, skills: Any, place: str) -> None:
    with pytest.raises(PlaybookFormatError, match=f"{place}: "):
        read(tmp_path, skills)
