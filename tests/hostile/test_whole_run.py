"""A whole run in which everything is hostile: the samples, the answers, the insights and the bullets."""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from ace_command import invoke
from harmless import assert_harmless
from hostile_corpus import CORPUS, KINDS, Hostile, with_each_input

from ace.cli.terminal import report
from ace.config import load_settings
from ace.errors import ConfigError
from ace.inference import ScriptedBackend
from ace.playbook.bullet import clean_text
from ace.store import RunStore
from ace.types import Request

pytestmark = pytest.mark.slow

MOST = 5_000
"""Characters of an input here: what is long is looked at surface by surface."""
TEXTS = [text for hostile in CORPUS if 0 < len(text := hostile.text) < MOST]
WRITABLE = [text for text in TEXTS if text.encode("utf-8", "ignore").decode() == text]


class Villain:
    """Says in every role what the input of the sample in the prompt says, in answers that are well formed."""

    def __init__(self) -> None:
        self.said = iter(WRITABLE * 20)

    def __call__(self, request: Request) -> str:
        assert request.schema is not None
        fields = request.schema["properties"]
        text = next(self.said)
        if "final_answer" in fields:
            return json.dumps({"reasoning": text, "bullet_ids": ["str-00001"], "final_answer": text})
        if "key_insight" in fields:
            tags = [{"id": "str-00001", "tag": "harmful"}]
            return json.dumps({**dict.fromkeys(fields, text), "bullet_tags": tags})
        operations = [
            {"type": "ADD", "reason": text, "section": "str", "content": f"{number}{content}"}
            for number, content in enumerate([text, next(self.said), next(self.said)])
        ]
        return json.dumps({"reasoning": text, "operations": operations})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    records: list[dict[str, Any]] = [
        {"id": f"s{number}{text[:20]}", "question": text, "context": text, "target": f"{number} {text}"}
        for number, text in enumerate(WRITABLE)
        if text.strip()
    ]
    Path("all.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    Path("config.yaml").write_text(
        'name: "\\e[31m\'; DROP TABLE runs; --"\n'
        "task: {name: jsonl, path: all.jsonl, split: {train: 0.9, validation: 0.0, test: 0.1}}\n"
        "models: {main: {provider: scripted, model: scripted}}\n"
        "adaptation: {batch_size: 16, max_rounds: 1}\n"
        "playbook: {guard: {policy: quarantine}}\n"
    )
    return tmp_path


def test_nothing_gets_through(folder: Path) -> None:
    backend = ScriptedBackend(Villain())
    started = invoke("run", "config.yaml", backends={"main": backend})
    assert started.exit_code == 0, started.output
    assert_harmless(started.output)

    with RunStore.open("sqlite:///runs/ace.db", create=False) as store:
        (run,) = store.list_runs()
        assert (run.name, run.status) == ("\x1b[31m'; DROP TABLE runs; --", "done")
        playbook = store.playbook(run.id)
        assert len(playbook) > 20 and len(playbook.quarantined) > 5
        for bullet in playbook.bullets:
            assert re.fullmatch(r"str-\d{5}", bullet.id)
            assert bullet.content == clean_text(bullet.content)
        outcomes = store.outcomes(run.id)
        assert {outcome.status for outcome in outcomes} == {"scored"}
        held = {bullet.content for bullet in playbook.quarantined}

    assert {tuple(message.role for message in request.messages) for request in backend.requests} == {("system", "user")}
    for request in backend.requests:
        system = request.messages[0].content
        ids = re.findall(r"(?m)^\[(str-\d{5})\]", system)
        assert len(ids) == len(set(ids))  # one line for each bullet: none was forged
        assert not any(len(content) > 20 and content in system for content in held)

    for command in (["runs"], ["show", run.id], ["playbook", "show", run.id], ["playbook", "diff", run.id, run.id]):
        shown = invoke(*command)
        assert shown.exit_code == 0, shown.output
        assert_harmless(shown.output)
    tables = {row[0] for row in sqlite3.connect("runs/ace.db").execute("SELECT name FROM sqlite_master")}
    assert {"runs", "batches", "calls", "outcomes"} <= tables
    assert {path.name for path in folder.iterdir()} == {"all.jsonl", "config.yaml", "runs"}


@pytest.mark.parametrize(
    "command", [["show"], ["playbook", "show"], ["run"], ["resume"], ["run", "config.yaml", "--set"]], ids=" ".join
)
def test_what_a_user_pastes_is_refused_in_harmless_words(folder: Path, command: list[str]) -> None:
    """Two inputs of each kind through the commands; what commands do with all of them is called directly elsewhere."""
    for kind in KINDS:
        texts = [hostile.text for hostile in CORPUS if hostile.kind == kind and is_argument(hostile.text)]
        for text in (*texts[:1], *texts[-1:]):
            result = invoke(*command, text)
            assert result.exit_code == 2, (text, result.output)
            assert "Traceback" not in result.output
            assert_harmless(result.output)
    assert {path.name for path in folder.iterdir()} <= {"all.jsonl", "config.yaml", "runs"}


def is_argument(text: str) -> bool:
    """Whether a shell can hand the text to a command as a name, a path or a value."""
    return text in WRITABLE and bool(text.strip()) and not text.startswith("-") and "\x00" not in text and text != "*"


@with_each_input
def test_an_error_shows_any_text_harmlessly(hostile: Hostile, capsys: pytest.CaptureFixture[str]) -> None:
    report(ConfigError(f"found {hostile.text}", hint=hostile.text))
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.startswith("error: found ")
    assert_harmless(shown.err)


@with_each_input
def test_no_text_is_the_path_of_a_config(hostile: Hostile, folder: Path) -> None:
    if is_argument(hostile.text):
        with pytest.raises(ConfigError):
            load_settings(Path(hostile.text))
        assert {path.name for path in folder.iterdir()} == {"all.jsonl", "config.yaml"}
