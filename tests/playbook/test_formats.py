"""Playbook files: the original release's text format, JSON, Markdown; and what is said of a bad one."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ace.errors import PlaybookFormatError
from ace.playbook import Add, Delta, Playbook, Section, apply, dumps, loads, read_playbook, write_playbook

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("ACE_SHARED_DATA", ROOT.parent / "shared" / "data")) / "playbooks"

ORIGINAL = """\
## STRATEGIES AND HARD RULES
[shr-00001] helpful=5 harmful=1 :: Round last.

[shr-00004] Without counters: use `x = 1 :: 2`.

## TROUBLESHOOTING AND PITFALLS:

## OTHERS
[misc-00007] helpful=0 harmful=0 :: Two lines
    and the second.
"""


def test_the_original_format_is_read() -> None:
    playbook = loads(ORIGINAL, "text")
    assert [(b.id, b.content) for b in playbook.bullets] == [
        ("shr-00001", "Round last."),
        ("shr-00004", "Without counters: use `x = 1 :: 2`."),
        ("misc-00007", "Two lines\nand the second."),
    ]
    assert (playbook.bullets[0].counters.helpful, playbook.bullets[0].counters.harmful) == (5, 1)
    assert [section.title for section in playbook.sections] == [
        "STRATEGIES AND HARD RULES",
        "TROUBLESHOOTING AND PITFALLS:",
        "OTHERS",
    ]
    assert playbook.next_number == 8


def test_ids_go_on_above_the_imported_ones() -> None:
    after = apply(loads(ORIGINAL, "text"), Delta((Add("shr", "new"),))).playbook
    assert after.bullets[-1].id == "shr-00008"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("what is this", 1),
        ("## A\n[str-00001] a\n\nnot a bullet", 4),
        ("## A\n[str-00001] a\n[api-00001] b", 3),
    ],
)
def test_a_bad_line_is_named(text: str, line: int, tmp_path: Path) -> None:
    path = tmp_path / "p.txt"
    path.write_text(text)
    with pytest.raises(PlaybookFormatError) as caught:
        read_playbook(path)
    assert caught.value.facts["line"] == line
    assert f"{path}:{line}" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("p.json", "{", "not JSON"),
        ("p.json", "{}", "schema_version None, allowed: 1"),
        ("p.json", json.dumps({"schema_version": 2}), "schema_version 2, allowed: 1"),
        ("p.json", json.dumps({"schema_version": 1}), "not a playbook"),
        ("p.md", "# Playbook\nhello", "not a line of a playbook"),
        ("p.doc", "", "unknown suffix '.doc', allowed: .txt, .json, .md"),
        ("p.txt", b"\xff\xfe", "cannot be read"),
    ],
)
def test_a_bad_file_is_refused(name: str, content: str | bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(PlaybookFormatError, match="p\\.") as caught:
        read_playbook(path)
    assert said in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PlaybookFormatError, match="no such playbook file"):
        read_playbook(tmp_path / "nope.json")


@pytest.mark.parametrize("suffix", [".txt", ".json", ".md"])
def test_files_are_written_by_suffix(suffix: str, tmp_path: Path) -> None:
    playbook = apply(Playbook.empty([Section("str", "S")]), Delta((Add("str", "a\n\n  b"),))).playbook
    path = tmp_path / f"p{suffix}"
    write_playbook(playbook, path)
    assert [b.content for b in read_playbook(path).bullets] == ["a\n\n  b"]
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared data is not here")
@pytest.mark.parametrize(("name", "bullets"), [("appworld_initial.txt", 8), ("appworld_offline.txt", 318)])
def test_playbooks_of_the_original_authors_come_in_whole(name: str, bullets: int) -> None:
    text = (DATA / name).read_text(encoding="utf-8")
    playbook = read_playbook(DATA / name)
    assert len(playbook) == bullets
    assert all(bullet.content in text for bullet in playbook.bullets)
    again = loads(dumps(playbook, "text"), "text")
    assert (again.bullets, again.sections) == (playbook.bullets, playbook.sections)
