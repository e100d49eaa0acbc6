"""What bad input gets: one message that names the place, an exit code, and no engine loaded for nothing.

The configs name a model that does not exist: whatever is said about something else was found before an engine was
started. A prompt that is too long and an engine that dies are in `tests/engine/test_failures.py` too, call by call.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ace_command import invoke
from typer.testing import Result

from ace.store import RunStore

Invoke = Callable[..., Result]
GOOD: dict[str, Any] = {"id": "x", "question": "What colour is the sky?", "target": "blue"}


@pytest.fixture
def real(config: Path) -> Path:
    """The config with a real provider, and a model that is not there."""
    text = config.read_text().replace("provider: scripted, model: scripted", "provider: huggingface, model: ./nowhere")
    config.write_text(text)
    return config


def complaint(result: Result, code: int = 2) -> str:
    """What a refused command says: one message on stderr, and nothing else."""
    assert result.exit_code == code, result.output
    assert result.stderr.startswith("error: ")
    assert "Traceback" not in result.output
    assert result.stdout == ""
    return result.stderr


def write(*lines: object) -> None:
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    Path("train.jsonl").write_text(text)


def test_a_missing_file(real: Path) -> None:
    Path("train.jsonl").unlink()
    assert "train.jsonl: no such data file" in complaint(invoke("run", str(real)))


def test_an_empty_data_set(real: Path) -> None:
    write()
    assert "train.jsonl: no samples in this file" in complaint(invoke("run", str(real)))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"id": "x", nope', "train.jsonl:2: not JSON"),
        ("[1, 2]", "train.jsonl:2: "),
        ({"id": "y", "target": "blue"}, "train.jsonl:2: field 'question': missing"),
        ({"id": "y", "question": " ", "target": "blue"}, "train.jsonl:2: field 'question': missing"),
        ({**GOOD, "question": "And the sea?"}, "train.jsonl:2: field 'id': 'x' was used on line 1"),
        ({"id": "y", "question": "And the sea?"}, "train.jsonl:2: field 'target'"),
    ],
)
def test_a_bad_line(real: Path, line: object, said: str) -> None:
    write(GOOD, line)
    assert said in complaint(invoke("run", str(real)))


def test_a_label_where_none_is_allowed(real: Path) -> None:
    Path("task.py").write_text(
        "from ace.tasks import Splits\n"
        "from ace.types import Sample, Score\n"
        "class Task:\n"
        "    name = 'mine'\n"
        "    splits = Splits(train=(Sample('a', 'What colour?', target='blue'),), validation=(), test=())\n"
        "    def prompt(self, sample): return sample.question\n"
        "    def grade(self, sample, answer): return Score(1.0, True)\n"
        "def make(): return Task()\n"
    )
    changes = ["--set", "task={name: python, path: 'task.py:make'}", "--set", "adaptation.labels=forbidden"]
    result = invoke("run", str(real), *changes)
    assert "training sample 'a' has a label where none is allowed" in complaint(result)


def test_a_model_that_does_not_exist_leaves_no_run(real: Path) -> None:
    assert "nowhere: no such folder" in complaint(invoke("run", str(real)), 3)
    assert "no runs" in invoke("runs").output


def test_a_hub_id_that_leads_nowhere(real: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    result = invoke("run", str(real), "--set", "models.main.model=no-such/model-1b")
    assert "no model 'no-such/model-1b'" in complaint(result, 3)


@pytest.fixture
def shipped(config: Path) -> Path:
    """The config with the shipped model, whose tokenizer is there."""
    text = config.read_text().replace("provider: scripted, model: scripted", "provider: vllm, model: micro-target")
    config.write_text(text)
    return config


def test_a_context_below_the_prompts(shipped: Path) -> None:
    said = complaint(invoke("run", str(shipped), "--set", "models.main.max_model_len=32"))
    assert "models.main.max_model_len: found 32, allowed: more than" in said
    assert "the tokens of a generator's prompt before any sample (pack 'standard' with 0 bullets)" in said


def test_instructions_longer_than_the_context(shipped: Path) -> None:
    said = complaint(invoke("run", str(shipped), "--set", f"task.instructions={'Answer in one word. ' * 900}"))
    assert "task.instructions: found" in said and "fewer than models.main holds" in said


def test_a_playbook_budget_longer_than_the_context(shipped: Path) -> None:
    said = complaint(invoke("run", str(shipped), "--set", "playbook.token_budget=80000"))
    assert "playbook.token_budget: found 80000, allowed: auto, or fewer than models.main holds" in said


def test_a_gguf_model(shipped: Path) -> None:
    said = complaint(invoke("run", str(shipped), "--set", "models.main.model=./model-q4.gguf"), code=3)
    assert "model-q4.gguf' is a GGUF model" in said and "llama-server" in said


def test_a_model_without_a_tokenizer(shipped: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bare"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").touch()
    said = complaint(invoke("run", str(shipped), "--set", f"models.main.model={folder}"), code=3)
    assert f"no tokenizer in {folder}" in said


def test_a_precision_that_no_processor_has(shipped: Path) -> None:
    said = complaint(invoke("run", str(shipped), "--set", "models.main.dtype=int8"))
    assert "models.main.dtype: found 'int8', allowed: 'auto', 'bfloat16', 'float16' or 'float32'" in said


def test_a_key_that_is_not_there(real: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACE_NO_KEY", raising=False)
    model = "models.main={provider: openai, model: m, api_key_env: ACE_NO_KEY}"
    assert "models.main.api_key_env: found 'ACE_NO_KEY'" in complaint(invoke("run", str(real), "--set", model))


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("models.main.provider=vlm", "did you mean 'vllm'?"),
        ("models.main.provider=triton", "models.main.provider: found 'triton', allowed: 'auto', 'vllm', "),
        ("labels=none", "did you mean 'adaptation.labels'?"),
        ("version=2", "version: found 2, allowed: 1"),
        ("roles.curator.model=other", "roles.curator.model: found 'other', allowed: a key of models: main"),
        ("prompts=fancy", "fancy"),
        ("store=train.jsonl/ace.db", "train.jsonl/ace.db"),
        ("store=/proc/none/ace.db", "/proc/none/ace.db"),
    ],
)
def test_a_wrong_setting(real: Path, override: str, said: str) -> None:
    assert said in complaint(invoke("run", str(real), "--set", override))


def test_a_summary_that_could_not_be_written_is_found_before_the_run(real: Path) -> None:
    result = invoke("run", str(real), "--json", "/proc/none/summary.json")
    assert "cannot write /proc/none/summary.json" in complaint(result)


@pytest.mark.engine
def test_a_prompt_longer_than_the_context_is_recorded_with_both_lengths(config: Path) -> None:
    write(GOOD, {**GOOD, "id": "long", "question": "word " * 1500})
    changes = ["models.main={provider: huggingface, model: micro-target, max_model_len: 1024}", "prompts=micro"]
    changes += ["adaptation.max_rounds=0", "adaptation.reflect_on_success=false", "evaluation.after=false"]
    changes += [f"roles.{role}.max_tokens=48" for role in ("generator", "reflector", "curator")]
    result = invoke("run", str(config), *[part for change in changes for part in ("--set", change)])
    assert result.exit_code == 4, result.output
    with RunStore.open("sqlite:///runs/ace.db", create=False) as store:
        run = store.resolve("latest")
        outcomes = {outcome.sample_id: outcome for outcome in store.outcomes(run)}
        assert store.run(run).status == "done"
    assert outcomes["x"].error is None or "PromptTooLong" not in outcomes["x"].error
    assert outcomes["long"].status == "failed"
    assert outcomes["long"].correct is None
    error = str(outcomes["long"].error)
    assert "PromptTooLongError" in error
    assert "1024" in error
    assert any(int(word) > 1500 for word in error.split() if word.isdigit()), error
