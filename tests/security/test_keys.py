"""An API key comes from the environment or a private file, and is found nowhere afterwards."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from ace_command import invoke
from endpoint import Body, Handler, serving

from ace.config import ModelSettings, load_settings, settings_from
from ace.errors import ConfigError
from ace.inference.providers.api_keys import api_key

pytest.importorskip("openai")

CANARY = "sk-" + "canary" * 6
MODEL: dict[str, Any] = {"provider": "openai", "model": "m"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    Path("data.jsonl").write_text(
        "".join(json.dumps({"id": f"s{i}", "question": f"q{i}", "target": "t"}) + "\n" for i in range(10))
    )
    key = Path("key.txt")
    key.write_text(CANARY + "\n")
    key.chmod(0o600)
    return tmp_path


def leaks(folder: Path) -> list[str]:
    """The files in which the key stands, the key's own aside."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "key.txt")
    return [str(path) for path in files if CANARY.encode() in path.read_bytes()]


def config(url: str, **model: Any) -> str:
    values = {
        "task": {"name": "jsonl", "path": "data.jsonl", "split": {"train": 0.6, "validation": 0.2, "test": 0.2}},
        "models": {"main": {**MODEL, "base_url": url, "max_retries": 0, **model}},
        "adaptation": {"batch_size": 4, "max_rounds": 1},
    }
    Path("config.json").write_text(json.dumps(values))
    return "config.json"


def echo_in_answers(handler: Handler, body: Body) -> None:
    """A server that says the key in whatever it says."""
    fields = body["response_format"]["json_schema"]["schema"]["properties"]
    said = f"your key is {handler.headers['authorization']}"
    answer: dict[str, Any] = dict.fromkeys(fields, said) | {"bullet_ids": [], "bullet_tags": []}
    answer["operations"] = [{"type": "ADD", "section": "str", "content": said}]
    handler.stream(json.dumps(answer))


def echo_in_errors(handler: Handler, body: Body) -> None:
    handler.fail(400, f"bad request with {handler.headers['authorization']}")


def echo_as_unauthorized(handler: Handler, body: Body) -> None:
    handler.fail(401, f"Incorrect API key provided: {handler.headers['authorization']}")


@pytest.mark.parametrize("where", ["environment", "file"])
@pytest.mark.parametrize(
    ("respond", "code"),
    [(echo_in_answers, 0), (echo_in_errors, 4), (echo_as_unauthorized, 3)],
    ids=["answers", "400", "401"],
)
def test_the_key_is_sent_and_stands_nowhere(
    folder: Path, monkeypatch: pytest.MonkeyPatch, respond: Any, code: int, where: str
) -> None:
    if where == "environment":
        monkeypatch.setenv("ACE_TEST_KEY", CANARY)
    named = {"api_key_env": "ACE_TEST_KEY"} if where == "environment" else {"api_key_file": "key.txt"}
    with serving(respond) as server:
        result = invoke("run", config(server.url, **named), "--json", "summary.json")
        assert set(server.keys) == {f"Bearer {CANARY}"}
    assert result.exit_code == code, result.output
    outputs = [result.output, invoke("runs").output, invoke("show", "latest").output]
    outputs.append(invoke("playbook", "show", "latest").output)
    assert not any(CANARY in output for output in outputs)
    assert leaks(folder) == []
    if respond is echo_in_answers:
        assert "[API key]" in invoke("playbook", "show", "latest").output


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX")
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620])
def test_a_file_that_others_can_read_is_refused(folder: Path, mode: int) -> None:
    Path("key.txt").chmod(mode)
    with pytest.raises(ConfigError, match=f"only its owner can read; this one has mode {mode:04o}") as caught:
        api_key(ModelSettings(**MODEL, api_key_file="key.txt"))
    assert caught.value.hint == "chmod 600 key.txt"
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("content", ["", " \n", "two keys", "a\nb", "a\x00b"])
def test_a_file_without_one_key_is_refused(folder: Path, content: str) -> None:
    Path("key.txt").write_text(content)
    with pytest.raises(ConfigError, match="a file with one key in it"):
        api_key(ModelSettings(**MODEL, api_key_file="key.txt"))


def test_a_file_that_is_not_there(folder: Path) -> None:
    result = invoke("run", config("http://127.0.0.1:1/v1", api_key_file="nowhere"))
    assert result.exit_code == 2
    assert "models.main.api_key_file: found" in result.output and "nowhere" in result.output
    assert "No such file" in result.output


def test_the_path_in_a_config_is_relative_to_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / config("http://127.0.0.1:1/v1", api_key_file="key.txt")
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert api_key(load_settings(path).models["main"]) == CANARY


@pytest.mark.parametrize(
    "url", ["http://me:sk-secret@host/v1", "https://sk-secret@host/v1", "https://host/v1?key=sk-secret"]
)
def test_a_url_with_a_secret_is_refused_without_repeating_it(url: str) -> None:
    values = {"task": {"name": "micro"}, "models": {"main": {**MODEL, "base_url": url}}}
    with pytest.raises(ConfigError, match=r"models\.main\.base_url") as caught:
        settings_from(values)
    assert "sk-secret" not in str(caught.value) + repr(caught.value.facts) + caught.value.hint


@pytest.mark.parametrize(
    "model",
    [{"api_key": CANARY}, {"token": CANARY}, {"api_key_env": CANARY}, {"engine_args": {"hf_token": CANARY}}],
    ids=lambda model: next(iter(model)),
)
def test_a_key_has_no_place_in_a_config(model: dict[str, Any]) -> None:
    values = {"task": {"name": "micro"}, "models": {"main": {**MODEL, **model}}}
    with pytest.raises(ConfigError, match=rf"models\.main\.{next(iter(model))}") as caught:
        settings_from(values)
    assert CANARY not in str(caught.value) + repr(caught.value.facts) + caught.value.hint


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX")
@pytest.mark.parametrize(("umask", "mode"), [(0o077, 0o600), (0o027, 0o640), (0o022, 0o644)])
def test_what_is_written_has_the_users_umask(folder: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        with serving(echo_in_answers) as server:
            assert invoke("run", config(server.url), "--json", "out/summary.json").exit_code == 0
        assert invoke("playbook", "export", "latest", "out/playbook.md").exit_code == 0
    finally:
        os.umask(before)
    written = [*folder.joinpath("runs").rglob("*"), *folder.joinpath("out").rglob("*")]
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in written if path.is_file()}
    assert {"ace.db", "summary.json", "playbook.md"} <= modes.keys()
    assert set(modes.values()) == {mode}
