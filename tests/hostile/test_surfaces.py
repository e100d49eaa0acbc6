"""Every hostile input through every surface that a text from outside meets, one surface a test."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import original_release
import pytest
from harmless import assert_harmless
from hostile_corpus import CORPUS, KINDS, Hostile, with_each_input
from rich.console import Console

from ace.config import load_settings, settings_from
from ace.config.task_settings import FieldSettings
from ace.config.yaml_parser import YamlProblem, parse_yaml
from ace.errors import AceError, ConfigError, DataError, ParseError, RequestRejectedError, RunNotFoundError
from ace.playbook import Add, Bullet, Delta, Playbook, Section, Update, apply, dedup_delta, diff, dumps, loads, render
from ace.playbook.bullet import clean_text
from ace.playbook.guard.content_scan import scan
from ace.playbook.io.playbook_files import Format
from ace.playbook.similarity.embedders import NgramEmbedder
from ace.prompts import PromptPack, load_pack
from ace.prompts.prompt_pack import PLACEHOLDERS
from ace.reporting.playbook_tables import diff_view, playbook_view
from ace.roles import Curation, GeneratorAnswer, Reflection
from ace.roles.answers import AddOp
from ace.roles.curator import insight_lines
from ace.roles.parsing import parse
from ace.store import RunStore
from ace.store.records import utcnow
from ace.store.run_ids import new_run_id, resolve
from ace.tasks.data.sample_loader import load_samples
from ace.types import ROLES, Message, RoleName

pytestmark = pytest.mark.slow

SECTIONS = (Section("str", "Strategies"), Section("mod", "Modifiers"))
HONEST = "an honest text"


def test_the_corpus_says_of_each_input_what_it_tries() -> None:
    assert len(CORPUS) >= 300
    assert len({(hostile.kind, hostile.tries) for hostile in CORPUS}) == len(CORPUS)


# The prompt.


@with_each_input
@pytest.mark.parametrize("pack", [load_pack("standard"), load_pack("micro")], ids=["standard", "micro"])
def test_no_value_adds_a_line_or_a_tag_to_a_prompt(pack: PromptPack, hostile: Hostile) -> None:
    for role in ROLES:
        values = dict.fromkeys(PLACEHOLDERS[role], HONEST)
        honest = pack.messages(role, "", values)[1].content
        for place in PLACEHOLDERS[role] - {"sections", "stats", "bullets", "insights"}:
            prompt = pack.messages(role, "", {**values, place: hostile.text})[1].content
            if hostile.text.strip():
                assert structure(pack, role, prompt) == structure(pack, role, honest)


def structure(pack: PromptPack, role: RoleName, prompt: str) -> list[str]:
    """What of a prompt tells data from instructions: its tags or, where lines mark data, their number."""
    if pack.one_line:
        return [prompt.split("\n")[0], str(prompt.count("\n"))]
    whole = pack.messages(role, "", dict.fromkeys(PLACEHOLDERS[role], HONEST))[1].content
    tags = set(re.findall(r"^</?(\w+)>$", whole, re.MULTILINE)) or {"no tag"}
    return re.findall(rf"<\s*/?\s*(?:{'|'.join(tags)})\b", prompt, re.IGNORECASE)


@with_each_input
def test_an_insight_is_one_item_of_the_curators_list(hostile: Hostile) -> None:
    pack = load_pack("standard")
    reflection = Reflection(key_insight=hostile.text, root_cause_analysis=hostile.text, correct_approach=hostile.text)
    items = "\n".join(insight_lines(pack, [reflection])).split("\n")
    assert len([item for item in items if item.startswith("- ")]) == bool(hostile.text.strip())
    assert all(item == "" or item.startswith(("- ", "  (")) for item in items)


@with_each_input
@pytest.mark.parametrize("name", ["standard", "micro"])
def test_no_content_forges_a_line_of_the_playbook(name: str, hostile: Hostile) -> None:
    pack = load_pack(name)
    playbook = hostile_playbook(hostile)
    lines = render(playbook, pack.formats).split("\n")
    own = [line for line in lines if not line.startswith("    ")]
    assert len(own) == len(playbook.prefix)
    for line, entry in zip(own, playbook.prefix, strict=True):
        assert re.findall(r"(?<!\\)\[([a-z]{2,6}-[0-9]{5})\]", line) == [entry.id]


def hostile_playbook(hostile: Hostile) -> Playbook:
    """Three bullets, of which the second one is hostile, and the third is updated to it and more."""
    adds = tuple(Add(slug, text) for slug, text in (("str", HONEST), ("mod", hostile.text), ("str", "to change")))
    first = apply(Playbook.empty(SECTIONS), Delta(adds)).playbook
    return apply(first, Delta((Update(first.bullets[-1].id, f"x{hostile.text}"),))).playbook


# The playbook's files.


@with_each_input
@pytest.mark.parametrize("form", ["json", "markdown", "text"])
def test_contents_and_titles_come_back_from_a_file_as_they_were(form: Format, hostile: Hostile) -> None:
    title = " ".join(clean_text(hostile.text).split())[:200] or "Empty"
    bullets = [Bullet("str-00001", "str", HONEST), Bullet("mod-00002", "mod", f"a{hostile.text}b")]
    playbook = Playbook.of(bullets, (Section("str", "Strategies"), Section("mod", title)))
    again = loads(dumps(playbook, form), form)
    assert [(b.id, b.content) for b in again.bullets] == [(b.id, b.content) for b in playbook.bullets]
    assert [section.slug for section in again.sections] == ["str", "mod"]
    assert again.next_number == playbook.next_number


@with_each_input
def test_a_hostile_file_is_read_or_refused_with_its_line(hostile: Hostile) -> None:
    for form in ("json", "markdown", "text"):
        try:
            playbook = loads(hostile.text, form)
        except AceError as error:
            assert str(error)
        else:
            assert len({bullet.number for bullet in playbook.bullets}) == len(playbook)


@with_each_input
def test_the_original_releases_parser_sees_our_bullets_and_no_others(hostile: Hostile) -> None:
    bullets = [Bullet("str-00001", "str", HONEST), Bullet("mod-00002", "mod", f"a{hostile.text}b")]
    text = dumps(Playbook.of(bullets, SECTIONS), "text")
    assert original_release.read(text) == [(b.id, 0, 0, b.content.split("\n")[0].strip()) for b in bullets]
    assert [line for line in text.strip().split("\n") if line.strip().startswith("##")] == [
        "## Strategies",
        "## Modifiers",
    ]


# What models answer.


@with_each_input
@pytest.mark.parametrize("model", [GeneratorAnswer, Reflection, Curation])
def test_any_answer_is_parsed_or_refused(model: type[GeneratorAnswer], hostile: Hostile) -> None:
    try:
        answer = parse(hostile.text, model)
    except ParseError as error:
        assert str(error)
    else:
        json.dumps(answer.model_dump(), ensure_ascii=False).encode("utf-8")  # no lone surrogate in it


@with_each_input
def test_an_operation_in_a_text_stays_text(hostile: Hostile) -> None:
    operation = {"type": "ADD", "section": "str", "content": f"a{hostile.text}"}
    curation = parse(json.dumps({"reasoning": hostile.text, "operations": [operation]}), Curation)
    assert len(curation.operations) == 1
    assert isinstance(curation.operations[0], AddOp)
    answer = parse(json.dumps({"reasoning": hostile.text, "bullet_ids": [], "final_answer": "KQT-07"}), GeneratorAnswer)
    assert (answer.final_answer, answer.bullet_ids) == ("KQT-07", [])
    reflection = parse(json.dumps({"reasoning": hostile.text, "key_insight": "", "bullet_tags": []}), Reflection)
    assert (reflection.key_insight, reflection.bullet_tags) == ("", [])


@with_each_input
def test_dedup_and_apply_take_any_content(hostile: Hostile) -> None:
    playbook = hostile_playbook(hostile)
    again = Delta((Add("str", f"x{hostile.text}"), Add(hostile.text[:100], "y"), Update(hostile.text[:100], "y")))
    after = apply(playbook, dedup_delta(playbook, again, NgramEmbedder(), 0.9).delta).playbook
    assert len(after) == len(playbook)  # the same words are no new bullet, and no text is a section or an id
    assert Playbook.from_json(json.loads(json.dumps(after.to_json()))) == after


@with_each_input
def test_the_guard_finds_instructions_and_is_bounded(hostile: Hostile) -> None:
    reasons = scan(hostile.text).reasons
    if hostile.kind == "role":
        assert any(reason.startswith("instruction to the model") for reason in reasons)
    assert all("\n" not in reason and len(reason) < 200 for reason in reasons)


# What people see.


@with_each_input
def test_nothing_steers_the_terminal(hostile: Hostile) -> None:
    playbook = hostile_playbook(hostile)
    out = io.StringIO()
    console = Console(file=out, width=100, force_terminal=False, no_color=True, legacy_windows=False)
    console.print(playbook_view(playbook, {}))
    console.print(diff_view(diff(Playbook.empty(SECTIONS), playbook)))
    assert_harmless(out.getvalue())


# Names, files, settings, the store.


def test_a_runs_id_is_a_harmless_file_name() -> None:
    for hostile in CORPUS:
        run = new_run_id(hostile.text, utcnow())
        assert re.fullmatch(r"\d{8}-\d{6}-[a-z0-9-]{1,40}-[0-9a-f]{4}", run)
        assert resolve(run, [run]) == run


def test_a_store_keeps_any_name_of_a_run(tmp_path: Path) -> None:
    values = {"task": {"name": "micro"}, "models": {"main": {"provider": "scripted", "model": "x"}}}
    named = 0
    with RunStore.open(tmp_path / "ace.db") as store:
        for hostile in (next(each for each in CORPUS if each.kind == kind) for kind in KINDS):
            try:
                settings = settings_from({**values, "name": hostile.text})
            except ConfigError as error:
                assert "name" in str(error)
                continue
            run = store.create_run(settings, task_digest="t", pack_digest="p", playbook=Playbook.empty())
            assert store.run(run).name == hostile.text
            named += 1
        assert len(store.list_runs()) == named > len(KINDS) // 2


def test_no_name_finds_a_run_that_it_is_not_the_beginning_of() -> None:
    ids = ["20260101-000000-a-0000", "20260101-000001-b-0001"]
    for hostile in CORPUS:
        if hostile.text not in ids[0]:
            with pytest.raises(RunNotFoundError):
                resolve(hostile.text, ids)


@with_each_input
def test_samples_are_data(hostile: Hostile, tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    path.write_text(json.dumps({"id": "s", "question": f"a{hostile.text}b", "target": "t"}) + "\n")
    if any("\ud800" <= char <= "\udfff" for char in hostile.text):
        with pytest.raises(DataError, match=r"samples\.jsonl:1: field 'question': found half of a surrogate pair"):
            load_samples(path, FieldSettings())
    else:
        (sample,) = load_samples(path, FieldSettings())
        assert sample.question == f"a{hostile.text}b"


@with_each_input
def test_a_hostile_data_file_is_read_or_refused(hostile: Hostile, tmp_path: Path) -> None:
    for form in ("jsonl", "csv"):
        path = tmp_path / f"samples.{form}"
        path.write_bytes(hostile.text.encode("utf-8", "surrogatepass"))
        try:
            samples = load_samples(path, FieldSettings(), format=form)
        except AceError as error:
            assert path.name in str(error)
        else:
            assert all(sample.question for sample in samples)


@with_each_input
def test_yaml_makes_plain_values_or_is_refused(
    hostile: Hostile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        value = parse_yaml(hostile.text)
    except YamlProblem as problem:
        assert str(problem)
    else:
        assert {type(item).__module__ for item in leaves(value)} <= {"builtins"}
    path = tmp_path / "config.yaml"
    path.write_bytes(hostile.text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ConfigError):
        load_settings(path)
    with pytest.raises(ConfigError):
        load_settings(None, [f"models.main.provider={hostile.text}"])
    assert [file.name for file in tmp_path.iterdir()] == ["config.yaml"]


def leaves(value: object) -> Iterable[object]:
    """The values in nested lists and mappings, each container once."""
    seen: set[int] = set()
    queue = [value]
    while queue:
        item = queue.pop()
        yield item
        if isinstance(item, dict | list | tuple | set) and id(item) not in seen:
            seen.add(id(item))
            queue.extend([*item.keys(), *item.values()] if isinstance(item, dict) else item)


# The engine's tokens.


@pytest.fixture(scope="module", params=["bytes", "micro-target"])
def encoder(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    pytest.importorskip("transformers")
    from control_tokens import byte_tokenizer
    from transformers import AutoTokenizer

    from ace.inference.model_files.packaged import model_path
    from ace.inference.text.chat_encoder import ChatEncoder

    bytes_ = request.param == "bytes"
    tokenizer = byte_tokenizer() if bytes_ else AutoTokenizer.from_pretrained(model_path(request.param))
    return tokenizer, ChatEncoder(tokenizer)


@with_each_input
@pytest.mark.engine
def test_no_text_becomes_a_control_token(encoder: tuple[Any, Any], hostile: Hostile) -> None:
    tokenizer, chat = encoder
    if any("\ud800" <= char <= "\udfff" for char in hostile.text):
        with pytest.raises(RequestRejectedError, match="lone surrogate"):
            chat.encode([Message("user", hostile.text)])
        return
    text = hostile.text[:10_000]
    inside = chat.encode([Message("system", text), Message("user", f"a{text}b"), Message("assistant", text)])
    outside = chat.encode([Message("system", ""), Message("user", ""), Message("assistant", "")])
    added = tokenizer.added_tokens_decoder
    assert [i for i in inside if i in added and not added[i].content.isspace()] == [i for i in outside if i in added]
