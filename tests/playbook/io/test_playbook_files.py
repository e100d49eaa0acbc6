"""Playbook files: the original release's text format, JSON, Markdown; and what is said of a bad one."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ace.errors import PlaybookError, PlaybookFormatError
from ace.playbook import Add, Delta, Playbook, Remove, Section, apply, dumps, loads, read_playbook, write_playbook

ROOT = Path(__file__).resolve().parents[3]
DATA = Path(os.environ.get("ACE_SHARED_DATA", ROOT.parent / "shared" / "data")) / "playbooks"

ORIGINAL = """\
## STRATEGIES AND HARD RULES
[shr-00001] helpful=5 harmful=1 :: Round last.

[shr-00004] Without counters: use `x = 1 :: 2`.

## TROUBLESHOOTING AND PITFALLS:

## OTHERS
[misc-00007] helpful=0 harmful=0 :: Two lines
    | and the second.
[misc-00009] helpful=1 harmful=0 :: Code as a model left it:
```
def f():

    # adds one
    return 1
```
"""


def test_the_original_format_is_read() -> None:
    playbook = loads(ORIGINAL, "text")
    assert [(b.id, b.content) for b in playbook.bullets] == [
        ("shr-00001", "Round last."),
        ("shr-00004", "Without counters: use `x = 1 :: 2`."),
        ("misc-00007", "Two lines\nand the second."),
        ("misc-00009", "Code as a model left it:\n```\ndef f():\n\n    # adds one\n    return 1\n```"),
    ]
    assert (playbook.bullets[0].counters.helpful, playbook.bullets[0].counters.harmful) == (5, 1)
    assert [section.title for section in playbook.sections] == [
        "STRATEGIES AND HARD RULES",
        "TROUBLESHOOTING AND PITFALLS:",
        "OTHERS",
    ]
    assert playbook.next_number == 10


def test_ids_go_on_above_the_imported_ones() -> None:
    after = apply(loads(ORIGINAL, "text"), Delta((Add("shr", "new"),))).playbook
    assert after.bullets[-1].id == "shr-00010"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("what is this", 1),
        ("## A\n[str-00001] a\n\n## B\nnot a bullet", 5),
        ("## A\n[str-00001] a\n[str-00001] b", 3),
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


def test_what_text_has_no_line_for_is_said_in_comments_and_only_where_needed() -> None:
    sections = (Section("shr", "STRATEGIES AND HARD RULES"), Section("fact", "OTHERS"))
    plain = apply(Playbook.empty(sections[:1]), Delta((Add("shr", "one"), Add("shr", "two")))).playbook
    assert "# " not in dumps(plain, "text").replace("## ", "")
    held = apply(Playbook.empty(sections), Delta((Add("shr", "one"), Add("shr", "two\nlines"), Remove("shr-00001"))))
    assert dumps(held.playbook, "text").splitlines() == [
        "## STRATEGIES AND HARD RULES",
        "[shr-00002] helpful=0 harmful=0 :: two",
        "    | lines",
        "",
        "## OTHERS",
        "# slug: fact",
        "",
    ]
    gone = apply(held.playbook, Delta((Remove("shr-00002"),))).playbook
    assert dumps(gone, "text").startswith("# next number: 3\n")
    assert loads(dumps(gone, "text"), "text").next_number == 3


def test_empty_sections_of_the_original_get_its_slugs() -> None:
    titles = [
        "STRATEGIES AND HARD RULES",
        "PROBLEM-SOLVING HEURISTICS AND WORKFLOWS",
        "OTHERS",
        "STRATEGIES & INSIGHTS",
    ]
    playbook = loads("".join(f"## {title}\n\n" for title in titles), "text")
    assert [section.slug for section in playbook.sections] == ["shr", "psw", "misc", "str"]
    assert [section.title for section in playbook.sections] == titles


def test_any_titles_get_slugs_of_their_own() -> None:
    playbook = loads("## OTHERS\n## OTHERS\n## OTHERS\n## Q\n##\n## 世界\n", "text")
    assert len({section.slug for section in playbook.sections}) == 6


def test_a_json_file_that_was_edited_by_hand_is_shown_as_edited() -> None:
    held = apply(Playbook.empty([Section("str", "S")]), Delta((Add("str", "one"), Add("str", "two")))).playbook
    data = json.loads(dumps(apply(held, Delta((Remove("str-00001"),))).playbook, "json"))
    assert loads(json.dumps(data), "json").dead_lines == 2
    data["bullets"][0]["content"] = "zwei"
    edited = loads(json.dumps(data), "json")
    assert [(line.kind, line.content) for line in edited.prefix] == [("bullet", "zwei")]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("bullets", 0, "content"), None),
        (("bullets", 0, "counters", "helpful"), "5"),
        (("bullets", 0, "counters", "helpful"), -1),
        (("bullets", 0, "id"), "str-1"),
        (("bullets", 0, "id"), "api-00001"),
        (("bullets", 0), "str-00001"),
        (("sections", 0, "slug"), "S T"),
        (("prefix", 0, "kind"), "header"),
        (("next_number",), 1),
        (("sections",), None),
    ],
)
def test_json_that_breaks_a_rule_is_refused(path: tuple[str | int, ...], value: object) -> None:
    held = apply(Playbook.empty([Section("str", "S"), Section("api", "A")]), Delta((Add("str", "one"),))).playbook
    data = json.loads(dumps(held, "json"))
    place = data
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(PlaybookFormatError, match=r"p\.json"):
        loads(json.dumps(data), "json", "p.json")


def test_json_nested_too_deeply_is_refused() -> None:
    with pytest.raises(PlaybookFormatError):
        loads("[" * 200_000, "json")


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        {"operations": "ADD"},
        {"operations": [1]},
        {"operations": [{"type": "GROW"}]},
        {"operations": [{"type": "ADD", "section": None, "content": "x"}]},
        {"operations": [{"type": "ADD", "section": "str", "content": 5}]},
        {"operations": [{"type": "TAG", "id": "str-00001", "tag": "great"}]},
        {"operations": [{"type": "TAG", "id": "str-00001", "tag": "used", "count": "2"}]},
        {"operations": [{"type": "MERGE", "ids": "str-00001", "content": "x"}]},
        {"operations": [{"type": "REMOVE", "id": "str-00001", "provenance": {"who": "me"}}]},
    ],
)
def test_a_malformed_delta_is_refused(data: object) -> None:
    with pytest.raises(PlaybookError):
        Delta.from_json(data)
