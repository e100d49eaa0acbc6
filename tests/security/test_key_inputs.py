"""Keys as people set them, secrets as texts quote them, and a run in which everything quotes them."""

from __future__ import annotations

import json
import logging
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from ace_command import invoke
from endpoint import Body, Handler, serving
from recorded_endpoint import inputs

from ace._util.masking import mask
from ace.config import ModelSettings, settings_from
from ace.errors import AceError, ConfigError, TransientError
from ace.inference.providers.api_keys import api_key

pytest.importorskip("openai")

KEY = "k-7Hq2" + "Zr9" * 6
MODEL: dict[str, Any] = {"provider": "openai", "model": "m"}


@pytest.mark.parametrize("entry", inputs("keys.yaml"))
@pytest.mark.parametrize("where", ["environment", "file"])
def test_a_key_is_cleaned_or_refused(
    entry: dict[str, Any], where: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    value = entry["value"].replace("K", KEY)
    path = tmp_path / "key.txt"
    path.write_text(value, encoding="utf-8", newline="")
    path.chmod(0o600)
    if where == "environment":
        monkeypatch.setenv("ACE_TEST_KEY", value)
        settings = ModelSettings(**MODEL, api_key_env="ACE_TEST_KEY")
    else:
        settings = ModelSettings(**MODEL, api_key_file=str(path))
    if "refused" not in entry:
        assert api_key(settings) == entry["key"].replace("K", KEY)
        return
    with pytest.raises(ConfigError, match=entry["refused"].replace("+", r"\+")) as caught:
        api_key(settings)
    assert KEY not in str(caught.value) + repr(caught.value.facts)


@pytest.mark.parametrize("value", ["", "  ", "\r\n", '""'])
def test_a_blank_variable_holds_no_key(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACE_TEST_KEY", value)
    assert api_key(ModelSettings(**MODEL, api_key_env="ACE_TEST_KEY")) is None


@pytest.mark.parametrize("entry", inputs("secrets.yaml"))
def test_no_error_repeats_a_secret(entry: dict[str, Any]) -> None:
    error = TransientError(re.sub(r"\bS\b", KEY, entry["text"]))
    assert KEY not in error.message
    assert entry["stays"] in error.message


@pytest.mark.parametrize(
    "quoted",
    [KEY, KEY + "\r", f"“{KEY}”", repr(KEY), json.dumps(KEY), f"b'{KEY}'"],
)
def test_the_value_of_a_variable_is_masked_in_any_text(quoted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", KEY + "\r")
    assert KEY not in mask(f"the library says: {quoted}!")
    assert KEY not in AceError("x", hint=f"see {quoted}").hint


@pytest.mark.parametrize(
    "text",
    [
        "api_key_env: found 'X', allowed: the name of an environment variable that holds the API key",
        "the API key is not accepted",
        "bearer authentication is required",
        "postgresql://ace:***@db/ace: no route",
        "export OPENAI_API_KEY=..., set api_key_file, or name a server of your own as base_url",
        "see https://example.org/keys?page=2 and models.*.api_key_env",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert mask(text) == text


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        ({"extra_headers": {"api-key": KEY}}, r"extra_headers\.api-key"),
        ({"extra_headers": {"Authorization": f"Bearer {KEY}"}}, r"extra_headers\.Authorization"),
        ({"extra_headers": {"X-Custom": f"Bearer {KEY}"}}, r"extra_headers\.X-Custom"),
        ({"extra_query": {"key": KEY}}, r"extra_query\.key"),
        ({"extra_body": {"provider": [{"token": KEY}]}}, r"extra_body\.provider\.token"),
    ],
)
def test_a_key_has_no_place_inside_engine_args(arguments: dict[str, Any], place: str) -> None:
    values = {"task": {"name": "micro"}, "models": {"main": {**MODEL, "engine_args": arguments}}}
    with pytest.raises(ConfigError, match=place) as caught:
        settings_from(values)
    assert KEY not in str(caught.value) + repr(caught.value.facts)


def everything(status: int) -> Any:
    """A server that quotes the key wherever it can: in headers, errors, answers, reasoning and names."""

    def respond(handler: Handler, body: Body) -> None:
        said = f"{handler.headers['authorization']} {KEY!r} https://me:{KEY}@host/v1?key={KEY}"
        if status == 0:
            handler.stream(f'{{"final_answer": "{KEY}", "reasoning": "{KEY}", "key_insight": "use {KEY}"}}')
        elif status == 200:
            error = json.dumps({"error": {"message": said, "code": 500}})
            handler.send_response(200)
            handler.send_header("content-type", "text/event-stream")
            handler.end_headers()
            handler.wfile.write(f"data: {error}\n\n".encode())
        else:
            handler.fail(status, said, headers={"x-key": KEY})

    return respond


@pytest.mark.parametrize("status", [0, 200, 400, 401, 402, 403, 404, 413, 429, 500])
@pytest.mark.slow
def test_a_key_that_everything_quotes_is_found_nowhere(
    status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACE_TEST_KEY", f"“{KEY}”\r\n")
    caplog.set_level(logging.INFO)
    with serving(everything(status)) as server:
        result = invoke("run", config(server.url), "--json", "summary.json")
    outputs = [result.output, str(result.exception), caplog.text]
    outputs += [invoke(*arguments).output for arguments in (("runs",), ("show",), ("playbook", "show", "latest"))]
    assert set(server.keys) == {f"Bearer {KEY}"}
    assert not any(KEY in output for output in outputs)
    assert [path for path in tmp_path.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()] == []
    assert texts_of_the_store(tmp_path / "runs" / "ace.db")


def texts_of_the_store(path: Path) -> list[str]:
    """Every text in every table; none of them holds the key."""
    with closing(sqlite3.connect(path)) as raw:
        tables = [name for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = [row for table in tables for row in raw.execute(f'SELECT * FROM "{table}"')]
    texts = [value for row in rows for value in row if isinstance(value, str)]
    assert not any(KEY in text for text in texts)
    return texts


def config(url: str) -> str:
    records = [{"id": f"s{i}", "question": f"q{i}", "target": "t"} for i in range(6)]
    Path("data.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    values = {
        "task": {"name": "jsonl", "path": "data.jsonl", "split": {"train": 0.5, "validation": 0.0, "test": 0.5}},
        "models": {"main": {**MODEL, "base_url": url, "max_retries": 0, "api_key_env": "ACE_TEST_KEY"}},
        "adaptation": {"batch_size": 3, "max_rounds": 1},
    }
    Path("config.json").write_text(json.dumps(values))
    return "config.json"
