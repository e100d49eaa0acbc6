"""`ace quickstart`: the packaged config, and the real thing through the real engine."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from ace_command import invoke

from ace.cli.commands.quickstart import quickstart_settings, routing_settings
from ace.inference import ScriptedBackend
from ace.tasks import load_task
from ace.tasks.builtin.routing import make_rules
from ace.types import Request

BULLET = re.compile(r"the answer is ([A-Z]\d\d)\.$", re.MULTILINE)
ROUTING = routing_settings(provider="auto", seed=0, model="mine", level="easy", store="sqlite:///x.db")
TICKETS = (*load_task(ROUTING.task).splits.train, *load_task(ROUTING.task).splits.test)


def test_the_packaged_config_takes_the_options() -> None:
    settings = quickstart_settings(provider="huggingface", seed=7, model="micro-draft", store="sqlite:///x: y.db")
    assert (settings.models["main"].provider, settings.models["main"].model) == ("huggingface", "micro-draft")
    assert (settings.seed, settings.task.micro.seed, settings.task.name) == (7, 7, "micro")
    assert settings.store == "sqlite:///x: y.db"
    assert settings.prompts == "micro"


def taught(request: Request) -> str:
    """Answers a ticket as the true rules do, once its desk has a bullet; names what missed ones share."""
    system, user = request.messages[0].content, request.messages[-1].content
    code = next(sample.target for sample in TICKETS if sample.question in user)
    assert request.schema is not None and code is not None
    if "final_answer" in request.schema["properties"]:
        return json.dumps({"bullet_ids": [], "final_answer": code if code in BULLET.findall(system) else "?"})
    return json.dumps({"reasoning": [], "key_insight": f"a matter for {code}"})


def bullet_text(code: str) -> str:
    return f"When the question is about a matter for {code}, the answer is {code}."


def test_a_model_of_ones_own_learns_the_support_tickets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    backends = {"main": ScriptedBackend(taught)}
    result = invoke("quickstart", "--model", "mine", backends=backends)
    assert result.exit_code == 0, result.output
    lines = result.stderr.splitlines()
    assert lines[0].startswith("ACE on support tickets: mine")
    batch = ROUTING.adaptation.batch_size
    said = f"40 tickets to learn from in batches of {batch}, 40 others to be judged by; prompts: standard"
    assert said in result.stderr
    assert "before: 0.0% (0/40 of test) with playbook v0" in lines
    for rule in make_rules(0, "easy"):
        assert f"  + {bullet_text(rule.code)}" in lines
    answered = [line for line in lines if "  -> " in line]
    assert len(answered) == 40
    assert answered[0].endswith(f"wrong, expected {_target(answered[0])}")
    assert any(line.startswith("after: 100.0% (40/40 of test)") for line in lines)
    assert "accuracy 0.0% -> 100.0%" in result.stdout


def _target(line: str) -> str:
    shown = line.partition("  -> ")[0].strip().rstrip("…")
    return str(next(sample.target for sample in TICKETS if sample.question.startswith(shown)))


def test_the_level_and_the_seed_reach_the_tickets() -> None:
    settings = routing_settings(provider="auto", seed=7, model="mine", level="hard", store="sqlite:///x.db")
    assert (settings.task.routing.seed, settings.task.routing.level, settings.seed) == (7, "hard", 7)
    assert settings.models["main"].dtype == "auto" and settings.models["main"].max_model_len is None


def test_a_provider_that_does_not_exist_is_exit_code_2() -> None:
    result = invoke("quickstart", "--provider", "vlm")
    assert result.exit_code == 2
    assert "did you mean 'vllm'?" in result.stderr


@pytest.mark.engine
def test_the_micro_model_learns_a_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = invoke("quickstart", "--json", "q.json")
    assert result.exit_code in (0, 4), result.output
    summary = json.loads(Path("q.json").read_text())
    assert summary["provider"] == "vllm"
    assert summary["accuracy_after"] > summary["accuracy_before"]
    assert summary["prefix_cache_hit_rate"] > 0.5
    assert f"ace show {summary['run']}" in result.stdout
