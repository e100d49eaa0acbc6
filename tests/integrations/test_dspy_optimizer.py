"""The optimizer of DSPy beyond its example: feedback, reflection, failures, saved programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import ace
from ace.types import Request

pytestmark = pytest.mark.filterwarnings("default")  # what the package warns of is its own

dspy = pytest.importorskip("dspy")

from ace.integrations.dspy_models import BackendEngine  # noqa: E402 - it needs the package
from ace.integrations.dspy_optimizer import ACE  # noqa: E402

RULE = "The sky is blue."


def respond(request: Any) -> str:
    """Knows the colour where a note says it; breaks on 'sea'."""
    system = request.system if isinstance(request.system, str) else "".join(part.text for part in request.system)
    if "Reply with a JSON object" in request.messages[-1].text:
        return critic(system, request.messages[-1].text)
    if "the sea" in request.messages[-1].text:
        raise ValueError("no sea")
    return f"[[ ## colour ## ]]\n{'blue' if RULE in system else 'green'}\n\n[[ ## completed ## ]]"


def critic(system: str, text: str) -> str:
    """Reflects and curates, as a chat model does: with words around the JSON."""
    if '"operations"' in text:
        add = {"type": "ADD", "section": "Strategies and hard rules", "content": RULE}
        return "Here it is: " + json.dumps({"operations": [] if RULE in system else [add]})
    return "Here it is: " + json.dumps({"key_insight": RULE})


class Engine:
    def complete(self, request: Any) -> Any:
        part = dspy.lm15.TextPart(respond(request))
        usage = dspy.lm15.Usage(input_tokens=1, output_tokens=1)
        message = dspy.lm15.Message.assistant([part])
        return dspy.lm15.Response(id=None, model="m", message=message, finish_reason="stop", usage=usage)


def reflect(request: Request) -> str:
    fields = set(request.schema["properties"]) if request.schema else set()
    if "operations" in fields:
        add = {"type": "ADD", "section": "Strategies and hard rules", "content": RULE}
        known = RULE in request.messages[0].content
        return json.dumps({"reasoning": "", "operations": [] if known else [add]})
    return json.dumps({"reasoning": "", "key_insight": RULE, "bullet_tags": []})


def metric(example: Any, prediction: Any, trace: Any = None) -> Any:
    right = prediction.colour == example.colour
    return dspy.Prediction(score=float(right), feedback="" if right else "Look up.")


@pytest.fixture
def program() -> Any:
    dspy.configure(lm=dspy.LM("ace/sky", engine=Engine(), cache=False, num_retries=0))
    return dspy.Predict(dspy.Signature("thing, time -> colour", "Name the colour."))


def examples(*things: str) -> list[Any]:
    return [dspy.Example(thing=thing, time="noon", colour="blue").with_inputs("thing", "time") for thing in things]


def test_the_metrics_feedback_reaches_the_reflector_and_the_playbook_the_program(program: Any, tmp_path: Path) -> None:
    reflector = ace.ScriptedBackend(reflect)
    optimizer = ACE(metric, reflection=reflector, store=f"sqlite:///{tmp_path}/ace.db")
    compiled = optimizer.compile(program, trainset=examples("the sky", "a blue bird"))
    assert program(thing="the sky", time="noon").colour == "green"
    assert compiled(thing="the sky", time="noon").colour == "blue"
    asked = [request.messages[-1].content for request in reflector.requests]
    assert any("thing: the sky\ntime: noon" in text and "Look up." in text for text in asked)
    assert compiled.signature.instructions.startswith("Name the colour.\n\n")
    assert [bullet.content for bullet in compiled.ace_result.playbook.bullets] == [RULE]
    compiled.save(tmp_path / "program.json")
    loaded = dspy.Predict(dspy.Signature("thing, time -> colour", "Name the colour."))
    loaded.load(tmp_path / "program.json")
    assert loaded(thing="the sky", time="noon").colour == "blue"


def test_the_configured_model_reflects_and_curates_too(program: Any, tmp_path: Path) -> None:
    optimizer = ACE(metric, store=f"sqlite:///{tmp_path}/ace.db")
    compiled = optimizer.compile(program, trainset=examples("the sky", "a blue bird"))
    assert compiled(thing="the sky", time="noon").colour == "blue"
    tokens = compiled.ace_result.summary.tokens
    assert tokens["reflector"].prompt > 0 and tokens["curator"].completion > 0


def test_an_example_on_which_the_program_breaks_is_a_failed_sample(program: Any, tmp_path: Path) -> None:
    optimizer = ACE(metric, reflection=ace.ScriptedBackend(reflect), store=f"sqlite:///{tmp_path}/ace.db")
    compiled = optimizer.compile(program, trainset=examples("the sea", "the sky"))
    summary = compiled.ace_result.summary
    assert summary.failed_samples == 1 and "the program failed" in summary.failures[0].error
    assert compiled(thing="the sky", time="noon").colour == "blue"


def test_without_anything_to_reflect_it_says_so(tmp_path: Path) -> None:
    dspy.configure(lm=None)
    program = dspy.Predict("thing -> colour")
    with pytest.raises(ace.ConfigError, match="reflection"):
        ACE(metric).compile(program, trainset=examples("the sky"))


def test_an_engine_of_ours_answers_under_dspy() -> None:
    seen: list[Request] = []

    def answer(request: Request) -> str:
        seen.append(request)
        return "[[ ## colour ## ]]\nred\n\n[[ ## completed ## ]]"

    with ace.LLMClient(backend=ace.ScriptedBackend(answer)) as client:
        lm = dspy.LM("ace/main", engine=BackendEngine(client), cache=False, max_tokens=20, temperature=0.0)
        with dspy.context(lm=lm):
            assert dspy.Predict("thing -> colour")(thing="a rose").colour == "red"
    assert seen[0].sampling.max_tokens == 20 and seen[0].messages[0].role == "system"
