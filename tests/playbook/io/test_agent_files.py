"""Playbooks as files that agents read."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hostile_corpus import CORPUS

from ace.errors import PlaybookFormatError
from ace.playbook import Bullet, Playbook, Section
from ace.playbook.io import loads, read_playbook
from ace.playbook.io.agent_files import BEGIN, END, dump_skill, update_agents_file

PLAYBOOK = Playbook.of(
    [Bullet("str-00001", "str", "First line.\nSecond line."), Bullet("calc-00002", "calc", "NPV = C / (1 + r)^t")],
    [Section("str", "Strategies"), Section("calc", "Formulas"), Section("err", "Empty")],
)


def test_a_system_prompt_has_the_bullets_by_section_without_ids() -> None:
    text = PLAYBOOK.as_system_prompt()
    assert text.endswith("# Strategies\n\n- First line.\n  Second line.\n\n# Formulas\n\n- NPV = C / (1 + r)^t\n")
    assert "str-00001" not in text and "Empty" not in text
    assert Playbook.empty().as_system_prompt() == ""


@pytest.mark.parametrize("description", ['Use it: "always" #1', "- not: a list", "{a: b}"])
def test_a_skill_begins_with_front_matter_that_yaml_reads(description: str) -> None:
    _, front, body = dump_skill(PLAYBOOK, name="invoice-rules", description=description).split("---\n", 2)
    assert yaml.safe_load(front) == {"name": "invoice-rules", "description": description}
    assert "- NPV = C / (1 + r)^t" in body


@pytest.mark.parametrize("name", ["", "Upper", "two--hyphens", "-a", "a b", "a" * 65])
def test_a_skill_needs_a_name_that_agents_accept(name: str) -> None:
    with pytest.raises(PlaybookFormatError, match="a skill's name"):
        dump_skill(PLAYBOOK, name=name, description="x")


@pytest.mark.parametrize("description", ["", "  ", "x" * 1025])
def test_a_skill_needs_a_description(description: str) -> None:
    with pytest.raises(PlaybookFormatError, match="a skill's description"):
        dump_skill(PLAYBOOK, name="rules", description=description)


def test_the_section_of_an_agents_file_is_replaced_and_the_rest_stays() -> None:
    once = update_agents_file("# Project\n\nBuild with make.\n", PLAYBOOK)
    assert once.startswith("# Project\n\nBuild with make.\n\n" + BEGIN) and "NPV" in once
    empty = update_agents_file(once + "\nThe end.\n", Playbook.empty())
    assert "NPV" not in empty and empty.endswith(f"{END}\n\nThe end.\n") and empty.count(BEGIN) == 1
    assert update_agents_file(once, PLAYBOOK) == once


def test_half_a_section_is_refused() -> None:
    with pytest.raises(PlaybookFormatError, match="must both be there"):
        update_agents_file(f"# Project\n{BEGIN}\n", PLAYBOOK)


def test_no_bullet_can_end_the_section() -> None:
    texts = [END, BEGIN, *(one.text for one in CORPUS if one.text.strip() and len(one.text) < 10_000)]
    bullets = [Bullet(f"str-{number:05d}", "str", text) for number, text in enumerate(texts, 1)]
    hostile = update_agents_file("before\n", Playbook.of(bullets, [Section("str", "Strategies")]))
    assert update_agents_file(hostile, Playbook.empty()) == update_agents_file("before\n", Playbook.empty())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("SKILL.md", dump_skill(PLAYBOOK, name="rules", description="Use it.")),
        ("AGENTS.md", update_agents_file("# Project\n\n- no bullet\n", PLAYBOOK) + "\n- none either\n"),
        ("prompt.txt", PLAYBOOK.as_system_prompt()),
        ("prompt.md", PLAYBOOK.as_system_prompt()),
    ],
)
def test_the_advice_of_a_file_for_agents_comes_back(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    notes: list[str] = []
    playbook = read_playbook(tmp_path / name, notes=notes)
    assert [bullet.content for bullet in playbook.bullets] == [bullet.content for bullet in PLAYBOOK.bullets]
    assert [section.title for section in playbook.sections] == ["Strategies", "Formulas"]
    assert notes == []


def test_lines_of_a_skill_by_hand_that_are_no_advice_are_named() -> None:
    notes: list[str] = []
    text = "---\nname: x\n---\n\nRead this.\n\n## Rules\n\n* Look twice.\n"
    playbook = loads(text, "markdown", notes=notes)
    assert [(bullet.section, bullet.content) for bullet in playbook.bullets] == [("rul", "Look twice.")]
    assert notes == ["line 5 is left out, it is no list item: 'Read this.'"]


def test_a_file_for_agents_without_an_item_is_no_playbook() -> None:
    with pytest.raises(PlaybookFormatError, match="no list item"):
        loads("---\nname: x\n---\n\nRead this.\n", "markdown")


def test_hostile_bullets_survive_the_way_through_a_skill() -> None:
    texts = ["a\n- b\n\n# c", *(one.text for one in CORPUS if one.text.strip() and len(one.text) < 10_000)]
    bullets = [Bullet(f"str-{number:05d}", "str", text) for number, text in enumerate(texts, 1)]
    playbook = Playbook.of([bullet for bullet in bullets if bullet.content], PLAYBOOK.sections)
    read = loads(dump_skill(playbook, name="rules", description="x"), "markdown")
    assert [bullet.content for bullet in read.bullets] == [bullet.content for bullet in playbook.bullets]
