"""Tiers: which calls go to the larger model, that they are recorded, paid and found again as its own."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from micro_runs import all_roles, micro_backend, micro_model, role_of, settings
from rich.console import Console

from ace.config import EscalationSettings, settings_from
from ace.engine import RunSummary, run
from ace.engine.calls.escalation import escalation_before
from ace.engine.calls.spending import Spending, spent_so_far
from ace.errors import ConfigError, PromptTooLongError
from ace.inference import Backend, LoraBackend, ScriptedBackend, bind
from ace.inference.wrappers.lora_backend import LoraRequest
from ace.reporting.summary_tables import summary_view
from ace.store import RunStore
from ace.types import ROLES, Completion, Request, Usage

MODELS = {name: {"provider": "scripted", "model": name} for name in ("main", "large")}


def go(
    folder: Path, small: ScriptedBackend, large: ScriptedBackend, resume: str | None = None, **changes: Any
) -> RunSummary:
    """A run in which `small` plays all roles, and `large` is the model that they escalate to."""
    backends = {**all_roles(small), "large": large}
    return asyncio.run(run(settings(folder, models=MODELS, **changes), backends=backends, resume=resume))


def instead(role: str, answer: Callable[[Request], str]) -> ScriptedBackend:
    """A model that plays every role without a mistake but `role`, in which it says `answer`."""
    return ScriptedBackend(lambda request: answer(request) if role_of(request) == role else micro_model(request))


def useless(request: Request) -> str:
    """A reflection that says the same wrong thing every time, so that the retry is wrong, too."""
    return json.dumps({"reasoning": "guessed", "key_insight": "nothing -> N9", "bullet_tags": []})


def escalate(role: str, **settings_: Any) -> dict[str, Any]:
    return {f"roles__{role}__escalate": {"model": "large", **settings_}}


@pytest.mark.parametrize("role", ["generator", "reflector", "curator"])
def test_an_answer_that_cannot_be_read_is_asked_of_the_larger_model_once(tmp_path: Path, role: str) -> None:
    large = micro_backend()
    summary = go(tmp_path, instead(role, lambda _: "no json"), large, **escalate(role))
    asked = len(large.requests)
    assert {role_of(request) for request in large.requests} == {role}
    assert summary.escalations == {role: {"parse_failure": asked}}
    assert summary.models[role] == {"main": asked, "large": asked}
    assert summary.parse_failures == asked
    assert (summary.failed_samples, summary.accuracy_after) == (0, 1.0)


def test_both_calls_are_recorded_with_the_reason(tmp_path: Path) -> None:
    go(tmp_path, instead("reflector", lambda _: "no json"), micro_backend(), **escalate("reflector"))
    with RunStore.open(f"sqlite:///{tmp_path}/ace.db", create=False) as store:
        calls = [call for call in store.calls(store.resolve("latest")) if call.role == "reflector"]
        assert not store.journal(store.resolve("latest"))
    assert [call.escalated for call in calls] == [None, "parse_failure"] * (len(calls) // 2)
    assert [call.parsed for call in calls] == [False, True] * (len(calls) // 2)
    assert len({call.digest for call in calls}) == len(calls)


def test_calls_of_an_adapter_are_told_from_those_of_its_base(tmp_path: Path) -> None:
    models = {
        "main": {"provider": "vllm", "model": "scripted"},
        "tuned": {"base": "main", "adapter": str(tmp_path)},
    }
    engine = instead(
        "reflector", lambda request: micro_model(request) if isinstance(request, LoraRequest) else "no json"
    )
    backends: dict[str, Backend] = {"main": engine, "tuned": LoraBackend(engine, str(tmp_path))}
    roles: dict[str, Any] = {role: {"temperature": 0.0} for role in ROLES}
    roles |= {"reflector": {"temperature": 0.0, "escalate": {"model": "tuned"}}, "curator": {"model": "tuned"}}
    chosen = settings(tmp_path, models=models, roles=roles)
    summary = asyncio.run(run(chosen, backends=backends))
    assert summary.models["reflector"]["main"] == summary.models["reflector"]["tuned"] > 0
    with RunStore.open(f"sqlite:///{tmp_path}/ace.db", create=False) as store:
        found = {(call.role, call.escalated, call.model) for call in store.calls(store.resolve("latest"))}
    tuned = f"scripted+{tmp_path}"
    assert found == {
        ("generator", None, "scripted"),
        ("reflector", None, "scripted"),
        ("reflector", "parse_failure", tuned),
        ("curator", None, tuned),
    }


def test_what_stays_wrong_is_reflected_on_by_the_larger_model(tmp_path: Path) -> None:
    small, large = instead("reflector", useless), micro_backend()
    summary = go(tmp_path, small, large, **escalate("reflector", rounds=2))
    assert set(summary.escalations["reflector"]) == {"rounds"}
    assert summary.escalations["reflector"]["rounds"] == len(large.requests) > 0
    assert summary.accuracy_after == 1.0
    alone = go(tmp_path, instead("reflector", useless), micro_backend())
    assert alone.accuracy_after is not None and alone.accuracy_after < 1.0
    assert alone.escalations == {}


def test_a_grade_at_or_below_the_severity_goes_to_the_larger_model_escalation_before(tmp_path: Path) -> None:
    small, large = instead("reflector", useless), micro_backend()
    summary = go(tmp_path, small, large, **escalate("reflector", score=0.0))
    assert set(summary.escalations["reflector"]) == {"score"}
    assert "corrected" not in summary.stops and set(summary.stops) == {"right"}


def test_where_early_stopping_would_end_the_larger_model_goes_on(tmp_path: Path) -> None:
    stop: dict[str, Any] = {"adaptation__early_stop": {"enabled": True}, "adaptation__max_rounds": 3}
    summary = go(tmp_path, instead("reflector", useless), micro_backend(), **escalate("reflector"), **stop)
    assert set(summary.escalations["reflector"]) == {"stalled"}
    assert set(summary.stops) <= {"right", "bullets_proven"}
    off = go(tmp_path, instead("reflector", useless), micro_backend(), **escalate("reflector", stalled=False), **stop)
    assert off.escalations == {}
    assert off.stops["converged"] > 0


def test_a_long_prompt_goes_to_the_larger_model_straight_away(tmp_path: Path) -> None:
    large = micro_backend()
    summary = go(tmp_path, micro_backend(), large, **escalate("curator", prompt_tokens=1))
    assert {role_of(request) for request in large.requests} == {"curator"}
    assert summary.escalations == {"curator": {"prompt_tokens": len(large.requests)}}
    assert summary.models["curator"] == {"large": len(large.requests)}, "its own model was never asked"


def test_a_curation_that_leaves_insights_out_is_made_anew(tmp_path: Path) -> None:
    def idle(_: Request) -> str:
        return json.dumps({"reasoning": "none", "operations": []})

    summary = go(tmp_path, instead("curator", idle), micro_backend(), **escalate("curator", coverage=1.0))
    assert set(summary.escalations["curator"]) == {"coverage"}
    assert summary.accuracy_after == 1.0
    large = micro_backend()
    go(tmp_path, micro_backend(), large, **escalate("curator", coverage=1.0))
    assert large.requests == [], "whoever says every insight is left alone"


def test_a_resumed_run_escalates_the_same_calls(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    tiers = {**escalate("reflector", rounds=2), **escalate("curator", coverage=1.0)}
    whole, large = instead("reflector", useless), micro_backend()
    expected = go(tmp_path / "whole", whole, large, **tiers)
    asked: list[str] = []
    limit, status = 5, ""
    resume = None
    while status != "done":
        parts = instead("reflector", useless), micro_backend()
        summary = go(tmp_path, *parts, resume=resume, budget__calls=limit, **tiers)
        asked += [request.digest for part in parts for request in part.requests]
        status, resume, limit = summary.status, summary.run, limit + 9
    assert (summary.escalations, summary.models) == (expected.escalations, expected.models)
    assert sorted(asked) == sorted(request.digest for part in (whole, large) for request in part.requests)


def test_every_tier_has_its_own_price(tmp_path: Path) -> None:
    prices = {"main": {"input": 1.0, "output": 1.0}, "large": {"input": 100.0, "output": 100.0}}
    models = {name: {**model, "price": prices[name]} for name, model in MODELS.items()}
    chosen = settings(tmp_path, models=models, budget__money=1000.0, **escalate("reflector", rounds=2))
    bindings = bind(chosen, {"main": micro_backend(), "large": micro_backend()})
    spending = Spending(chosen.budget)
    spending.add(Usage(prompt_tokens=10), bindings.get("reflector").price)
    spending.add(Usage(prompt_tokens=10), bindings.get("reflector", "larger").price)
    assert spending.spent.money == pytest.approx(10e-6 + 1000e-6)

    backends = {**all_roles(instead("reflector", useless)), "large": micro_backend()}
    summary = asyncio.run(run(chosen, backends=backends))
    with RunStore.open(chosen.store, create=False) as store:
        used = store.usage_by_tier(summary.run)
        money = spent_so_far(store, summary.run, bindings).money
    tokens = {tier: known.usage.prompt_tokens + known.usage.completion_tokens for tier, known in used.items()}
    dear = tokens.pop(("reflector", "rounds"))
    assert money == pytest.approx((sum(tokens.values()) + 100 * dear) / 1e6)


def test_the_completion_cache_tells_tiers_apart(tmp_path: Path) -> None:
    greedy = {"roles__reflector__temperature": 0.0, **escalate("reflector", score=1.0)}
    first = go(tmp_path, instead("reflector", useless), micro_backend(), **greedy)
    large = micro_backend()
    second = go(tmp_path, instead("reflector", useless), large, **greedy)
    assert large.requests == []
    assert second.escalations == first.escalations
    assert second.models["reflector"]["large"] == 0


def test_the_summary_says_who_was_asked_and_why(tmp_path: Path) -> None:
    summary = go(tmp_path, instead("curator", lambda _: "no json"), micro_backend(), **escalate("curator"))
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(summary_view(summary))
    text = console.export_text()
    number = summary.escalations["curator"]["parse_failure"]
    assert f"{number} large, {number} main; escalated: {number} parse_failure" in text


@pytest.mark.parametrize(
    ("grade", "round", "stalled", "why"),
    [
        (0.0, 0, True, None),
        (0.0, 1, True, "stalled"),
        (0.25, 1, False, "score"),
        (0.26, 1, False, None),
        (None, 1, False, None),
        (None, 3, False, "rounds"),
        (0.0, 3, False, "score"),
    ],
)
def test_reasons(grade: float | None, round: int, stalled: bool, why: str | None) -> None:
    settings = EscalationSettings(model="large", score=0.25, rounds=3)
    assert escalation_before(settings, grade=grade, round=round, stalled=stalled) == why
    assert escalation_before(None, grade=grade, round=round, stalled=stalled) is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (escalate("curator", rounds=1), r"roles\.curator\.escalate\.rounds: found 1.*generator and the reflector"),
        (escalate("reflector", coverage=0.5), r"roles\.reflector\.escalate\.coverage: found 0\.5.*curator"),
        ({"roles__reflector__escalate": {"model": "main"}}, r"escalate\.model.*another model than the role's own"),
        ({"roles__reflector__escalate": {"model": "lagre"}}, r"roles\.reflector\.escalate\.model.*large"),
        ({**escalate("reflector", score=0.5), "adaptation__labels": "none"}, r"escalate\.score.*grade"),
        ({**escalate("reflector"), "budget__money": 1.0}, r"models\.main\.price"),
    ],
)
def test_what_cannot_be_is_refused_with_its_key(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        settings(tmp_path, models=MODELS, **changes)


def test_a_tier_without_a_backend_is_refused(tmp_path: Path) -> None:
    chosen = settings(tmp_path, models=MODELS, **escalate("reflector"))
    with pytest.raises(ConfigError, match="model 'large'"):
        bind(chosen, all_roles(micro_backend()))
    one = micro_backend()
    bindings = bind(chosen, {"main": one, "large": micro_backend()})
    assert bindings.get("curator").backend is one
    assert len(bindings.engines) == 2
    assert settings_from(chosen.model_dump()) == chosen


class Narrow(ScriptedBackend):
    """A model whose context holds no reflection."""

    def __init__(self) -> None:
        super().__init__(micro_model)

    async def complete(self, request: Request) -> Completion:
        if role_of(request) == "reflector":
            raise PromptTooLongError("the prompt does not fit")
        return await super().complete(request)


def test_a_prompt_that_does_not_fit_goes_to_the_larger_model(tmp_path: Path) -> None:
    large = micro_backend()
    summary = go(tmp_path, Narrow(), large, **escalate("reflector"))
    assert summary.escalations == {"reflector": {"prompt_tokens": len(large.requests)}}
    assert (summary.stops.get("error"), summary.accuracy_after) == (None, 1.0)
