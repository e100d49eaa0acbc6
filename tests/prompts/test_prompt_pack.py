"""Packs: what is loaded, what is refused, what the messages look like."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from importlib.resources import as_file, files
from pathlib import Path

import pytest

from ace.errors import PromptPackError
from ace.prompts import find_pack, load_pack, packaged_packs
from ace.prompts.prompt_pack import PLACEHOLDERS
from ace.types import ROLES, RoleName

STANDARD_1 = "sha256:3737b6b73668c47db663bc74fcc7830b94a68d5d60ccb1e0b334a0d5caa15d3c"
"""Runs that were made with it are in stores."""
PLAYBOOK = "[str-00001] Read the units."


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the standard pack to break."""
    with as_file(files("ace.prompts") / "packs" / "standard") as source:
        return Path(shutil.copytree(source, tmp_path / "mine"))


def values(role: RoleName, **given: str) -> dict[str, str]:
    return {**dict.fromkeys(PLACEHOLDERS[role], ""), **given}


def test_packs_and_their_earlier_versions_come_along() -> None:
    assert packaged_packs() == ("micro", "standard", "standard-1")
    loaded = [load_pack(name) for name in packaged_packs()]
    assert [(pack.name, pack.version) for pack in loaded] == [("micro", 1), ("standard", 2), ("standard", 1)]


def test_a_stored_version_is_found_by_its_digest() -> None:
    first = load_pack("standard-1")
    assert first.digest == STANDARD_1
    assert find_pack("standard", first.digest) == first
    assert find_pack("micro", first.digest) is None and find_pack("standard", "sha256:0") is None


@pytest.mark.parametrize("name", packaged_packs())
def test_all_roles_share_one_system_message(name: str) -> None:
    pack = load_pack(name)
    conversations = [pack.messages(role, PLAYBOOK, values(role)) for role in ROLES]
    assert len({messages[0] for messages in conversations}) == 1
    assert conversations[0][0].content == f"{pack.preamble}\n{PLAYBOOK}"
    assert all([message.role for message in messages] == ["system", "user"] for messages in conversations)


def test_the_task_stands_before_the_playbook_and_is_the_same_for_all_roles() -> None:
    pack = load_pack("standard").for_task("Sort the tickets.")
    systems = {pack.messages(role, PLAYBOOK, values(role))[0].content for role in ROLES}
    (system,) = systems
    assert system.startswith("Sort the tickets.\n\n") and system.endswith(f"\n{PLAYBOOK}")
    assert pack.digest == load_pack("standard").digest


def test_a_pack_without_a_place_for_instructions_is_as_it_was() -> None:
    for name in ("micro", "standard-1"):
        pack = load_pack(name)
        assert not pack.shows_instructions and pack.for_task("Sort the tickets.").preamble == pack.preamble


def test_nothing_in_a_prompt_can_be_taken_for_content() -> None:
    """No id, number or quoted value but the names of fields: small models copy them into their answers."""
    pack = load_pack("standard").for_task("")
    for role in ROLES:
        filled = {name: "" if name != "ids" else "(ids)" for name in PLACEHOLDERS[role]}
        text = "\n".join(message.content for message in pack.messages(role, "", filled))
        assert not re.search(r"[a-z]{2,6}-\d|\d|\[\]|\.\.\.", text), role
        assert not re.search(r"\b(playbook|bullets?)\b", text, re.IGNORECASE), role


def test_in_the_first_version_the_sample_comes_last() -> None:
    pack = load_pack("standard-1")
    first, second = (
        pack.messages("generator", PLAYBOOK, values("generator", question=q))[1].content for q in ("Q-1", "Z-2")
    )
    shared = first[: first.index("Q-1")]
    assert second.startswith(shared) and len(shared) > 500


@pytest.mark.parametrize("role", ROLES)
def test_optional_parts_of_the_standard_pack_leave_no_trace(role: RoleName) -> None:
    pack = load_pack("standard")
    needed = {"generator": ["question"], "reflector": ["question", "answer"], "curator": ["insights"]}[role]
    bare = pack.messages(role, PLAYBOOK, values(role, **{name: f"(({name}))" for name in needed}))[1].content
    assert "{{" not in bare and "$" not in bare and "\n\n\n" not in bare
    optional = PLACEHOLDERS[role] - set(needed) - {"ids", "reasons"}
    full = pack.messages(role, PLAYBOOK, {name: f"(({name}))" for name in PLACEHOLDERS[role]})[1].content
    assert all(f"(({name}))" not in bare and f"(({name}))" in full for name in optional)


def test_without_a_label_the_reflector_hears_of_no_target() -> None:
    user = load_pack("standard").messages("reflector", PLAYBOOK, values("reflector", question="q", answer="a"))[1]
    assert "right_answer" not in user.content and "is known here" not in user.content


def test_a_retry_is_appended_where_the_pack_says_so() -> None:
    pack = load_pack("micro")
    first = pack.messages("generator", "", values("generator", question="q"))[1].content
    again = pack.messages("generator", "", values("generator", question="q", reflection="a -> B"))[1].content
    assert (first, again) == ("ANSWER\nq", "ANSWER\nq\nREFLECTION\na -> B")


def test_the_digest_follows_every_file_and_nothing_else(folder: Path) -> None:
    digest = load_pack(folder).digest
    assert digest == load_pack("standard").digest and digest.startswith("sha256:")
    (folder / "notes.md").write_text("not part of it")
    assert load_pack(folder).digest == digest
    for file in ("pack.yaml", "preamble.txt", "generator.txt", "reflector.txt", "curator.txt"):
        text = (folder / file).read_text()
        (folder / file).write_text(text + "\n")
        assert load_pack(folder).digest != digest, file
        (folder / file).write_bytes(text.replace("\n", "\r\n").encode())
        assert load_pack(folder).digest == digest, file


def test_sections_of_the_standard_pack() -> None:
    sections = load_pack("standard").sections
    assert sections[0].slug == "str" and sections[0].title == "Strategies and hard rules"
    assert len({section.slug for section in sections}) == len(sections)


def replace(old: str, new: str) -> Callable[[str], str]:
    return lambda text: text.replace(old, new)


@pytest.mark.parametrize(
    ("file", "edit", "complaint"),
    [
        ("generator.txt", replace("$question", "$qestion"), r"generator.txt: placeholder \$qestion is unknown"),
        ("generator.txt", replace("$question", ""), r"generator.txt: placeholder \$question is missing"),
        ("curator.txt", replace("$insights", ""), r"curator.txt: placeholder \$insights is missing"),
        ("generator.txt", lambda text: "$question", r"generator.txt: placeholder \$reflection is missing .*retry"),
        ("pack.yaml", replace("version: 2", "version: two"), "pack.yaml: version: .*integer"),
        ("pack.yaml", replace("version: 2", "verzion: 2"), "pack.yaml: .*version: Field required"),
        ("pack.yaml", replace("version: 2", "version: 2\nomitt: []"), "pack.yaml: omitt: .*allowed: .*omit"),
        ("pack.yaml", replace("omit: [error", "omit: [final_answer, error"), "pack.yaml: omit.0: "),
        ("pack.yaml", replace("version: 2", "version: 2\noperations: []"), "pack.yaml: operations: "),
        ("pack.yaml", replace("slug: str", "slug: Strategy"), "pack.yaml: sections.0.slug: "),
        ("pack.yaml", replace("slug: fact", "slug: str"), "pack.yaml: sections: .*'str' twice"),
        ("pack.yaml", replace("[$id] $content", "- $content"), r"formats.bullet: placeholder \$id is missing"),
        ("pack.yaml", replace("- $insight", "- $insigt"), r"pack.yaml, insight: placeholder \$insigt is unknown"),
        ("pack.yaml", lambda text: text + "\n[", "pack.yaml, line [0-9]+: "),
        ("pack.yaml", lambda text: "just text", "pack.yaml: the whole file: "),
    ],
)
def test_a_mistake_names_the_file_and_the_place(
    folder: Path, file: str, edit: Callable[[str], str], complaint: str
) -> None:
    (folder / file).write_text(edit((folder / file).read_text()))
    with pytest.raises(PromptPackError, match=complaint):
        load_pack(folder)


def test_a_missing_or_binary_file_is_named(folder: Path) -> None:
    (folder / "curator.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(PromptPackError, match=r"curator.txt cannot be read"):
        load_pack(folder)
    (folder / "curator.txt").unlink()
    with pytest.raises(PromptPackError, match=r"curator.txt cannot be read"):
        load_pack(folder)


def test_an_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(PromptPackError, match=r"micro, standard, standard-1; did you mean 'standard'\?"):
        load_pack("standart")


def test_operations_can_be_narrowed_and_keep_their_order(folder: Path) -> None:
    manifest = folder / "pack.yaml"
    manifest.write_text(manifest.read_text() + "\noperations: [UPDATE, ADD]\n")
    assert load_pack(folder).operations == ("ADD", "UPDATE")


def test_one_line_packs_fold_what_samples_and_answers_say() -> None:
    pack = load_pack("micro")
    said = values("reflector", question="q\nanswer KQT-07", answer="x\n\nright", feedback="wrong , expected y")
    assert pack.messages("reflector", PLAYBOOK, said)[1].content.split("\n") == [
        "REFLECT",
        "q answer KQT-07",
        "answer x right",
        "wrong , expected y",
    ]
    insights = {"insights": "- a -> b\n- c -> d", "sections": "", "stats": ""}
    assert pack.messages("curator", PLAYBOOK, insights)[1].content == "CURATE\n- a -> b\n- c -> d"
