"""What is fuzzed: functions of one text that answer, or raise an error of ours. Property tests run them too."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hostile_corpus import CORPUS

from ace.config import settings_from
from ace.config.task_settings import FieldSettings
from ace.config.yaml_parser import YamlProblem, parse_yaml
from ace.errors import AceError
from ace.playbook import Delta, NgramEmbedder, Playbook, Section, apply, dedup_delta, dumps, loads, merge_deltas
from ace.playbook.bullet import Provenance
from ace.playbook.delta import Add
from ace.playbook.guard.content_scan import scan
from ace.playbook.io.playbook_files import Format
from ace.prompts.template import PromptTemplate
from ace.roles import Curation, GeneratorAnswer, Reflection, to_delta
from ace.roles.parsing import parse
from ace.tasks.builtin.program_text import complete_program, find_program
from ace.tasks.data.numbers_in_text import numbers
from ace.tasks.data.option_letters import option_letter
from ace.tasks.data.sample_loader import load_samples
from ace.tasks.data.text_folding import normal_text

EXPECTED = (AceError, YamlProblem)
FOLDER = tempfile.TemporaryDirectory(prefix="ace-fuzz-data-")
"""For data files; gone when the process ends."""
SECTIONS = (Section("str", "Strategies"), Section("fact", "Facts"))


def config(text: str) -> None:
    """A config file."""
    value = parse_yaml(text)
    if isinstance(value, dict):
        settings_from(value)


def answer(text: str) -> None:
    """What a generator says; whatever was understood is plain text."""
    said = parse(text, GeneratorAnswer)
    said.model_dump_json().encode("utf-8")


def reflection(text: str) -> None:
    """What a reflector says."""
    parse(text, Reflection).model_dump_json().encode("utf-8")


def curation(text: str) -> None:
    """What a curator says, carried out on a playbook: ids stay unique, and the result survives its files."""
    delta = to_delta(parse(text, Curation), Provenance(), SECTIONS)
    start = apply(Playbook.empty(SECTIONS), Delta((Add("str", "one"), Add("fact", "two")))).playbook
    merged = merge_deltas([delta, delta], start)
    after = apply(start, dedup_delta(start, merged, NgramEmbedder(), 0.9).delta).playbook
    assert len({bullet.number for bullet in after.bullets}) == len(after)
    assert Playbook.from_json(json.loads(json.dumps(after.to_json()))) == after
    contents = [(bullet.id, bullet.content) for bullet in after.bullets]
    forms: tuple[Format, ...] = ("text", "markdown", "json")
    for form in forms:
        assert [(bullet.id, bullet.content) for bullet in loads(dumps(after, form), form).bullets] == contents


def _file(form: Format) -> Callable[[str], None]:
    def read(text: str) -> None:
        """A playbook's file: what is read is written and read again without a change."""
        playbook = loads(text, form)
        again = loads(dumps(playbook, form), form)
        assert [(b.id, b.content) for b in again.bullets] == [(b.id, b.content) for b in playbook.bullets]
        assert again.next_number == playbook.next_number

    return read


def _data(form: str) -> Callable[[str], None]:
    path = Path(FOLDER.name) / f"data.{form}"

    def read(text: str) -> None:
        """A data file."""
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        samples = load_samples(path, FieldSettings(), format=form)  # type: ignore[arg-type]
        assert len({sample.id for sample in samples}) == len(samples)

    return read


def program(text: str) -> None:
    """An answer with a program in it; what is found is found again."""
    found = find_program(text)
    complete_program(found, "import re\n\ndef f(a):\n", "f")


def grading(text: str) -> None:
    """An answer that is graded by itself, as a number, a letter and a text."""
    assert all(number == number for number in numbers(text))
    letter = option_letter(text)
    assert letter is None or option_letter(letter) == letter
    assert normal_text(f" {text}\n") == normal_text(text)


def template(text: str) -> None:
    """A prompt's text, and a value in one."""
    PromptTemplate(text, source="x", allowed=("question", "context")).fill({"question": text, "context": text})


def guard(text: str) -> None:
    """A bullet's content; what is masked has no secret any more."""
    found = scan(text)
    again = scan(found.masked)
    assert not any(reason.startswith(("secret", "personal data")) for reason in again.reasons)


TARGETS: dict[str, Callable[[str], None]] = {
    "config": config,
    "answer": answer,
    "reflection": reflection,
    "curation": curation,
    "text": _file("text"),
    "markdown": _file("markdown"),
    "json": _file("json"),
    "jsonl": _data("jsonl"),
    "csv": _data("csv"),
    "program": program,
    "grading": grading,
    "template": template,
    "guard": guard,
}


def seeds() -> list[str]:
    """Inputs to start from: the hostile corpus, and one good example of each form."""
    playbook = apply(Playbook.empty(SECTIONS), Delta((Add("str", "one\ntwo"), Add("fact", "three")))).playbook
    good: list[Any] = [
        {"reasoning": "r", "bullet_ids": ["str-00001"], "final_answer": "a"},
        {"reasoning": "r", "key_insight": "k", "bullet_tags": [{"id": "str-00001", "tag": "helpful"}]},
        {
            "reasoning": "r",
            "operations": [
                {"type": "ADD", "section": "str", "content": "new"},
                {"type": "UPDATE", "id": "str-00001", "content": "other"},
                {"type": "MERGE", "ids": ["str-00001", "fact-00002"], "content": "both"},
                {"type": "REMOVE", "id": "fact-00002"},
            ],
        },
        {"task": {"name": "micro"}, "models": {"main": {"provider": "scripted", "model": "x"}}},
        {"id": "s", "question": "q", "target": "t"},
    ]
    texts = [json.dumps(value) for value in good]
    texts += [dumps(playbook, form) for form in ("text", "markdown", "json")]
    texts += ["id,question,target\na,b,c\n", "{{?context}}\n$context\n{{/context}}\n<a>\n$question\n</a>"]
    return [*texts, *(hostile.text for hostile in CORPUS)]
