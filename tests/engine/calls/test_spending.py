"""Budgets hold, over all roles and processes, and what was paid for is kept."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from micro_runs import all_roles, micro_backend, micro_model, settings

from ace.config import settings_from
from ace.engine import RunSummary, run
from ace.engine.calls.spending import Spending, Spent, cost
from ace.errors import BudgetReachedError, ConfigError
from ace.inference import ScriptedBackend
from ace.store import RunStore
from ace.types import Completion, Request, Usage


class Slow(ScriptedBackend):
    """Plays without a mistake, after a few turns of the loop, so that calls are under way together."""

    def __init__(self) -> None:
        super().__init__(micro_model)

    async def complete(self, request: Request) -> Completion:
        for _ in range(len(self.requests) % 5 + 1):
            await asyncio.sleep(0)
        return await super().complete(request)


def go(folder: Path, backend: ScriptedBackend, resume: str | None = None, **changes: Any) -> RunSummary:
    return asyncio.run(run(settings(folder, **changes), backends=all_roles(backend), resume=resume))


def paid(folder: Path) -> list[str]:
    """Digests of all calls in the store, committed or not."""
    with RunStore.open(f"sqlite:///{folder}/ace.db", create=False) as store:
        name = store.resolve("latest")
        digests = [call.digest for call in store.calls(name)] + [entry.digest for entry in store.journal(name)]
        for evaluation in store.evaluations(name):
            digests += [call.digest for call in store.calls(name, evaluation=evaluation.index)]
        return digests


@pytest.mark.parametrize("limit", [1, 7, 20, 31])
def test_calls_are_never_exceeded_and_none_is_lost(tmp_path: Path, limit: int) -> None:
    backend = Slow()
    summary = go(tmp_path, backend, budget__calls=limit)
    assert summary.status == "budget"
    assert len(backend.requests) == limit
    assert sorted(paid(tmp_path)) == sorted(request.digest for request in backend.requests)


@pytest.mark.slow
def test_a_larger_budget_goes_on_to_the_same_end(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    whole = micro_backend()
    expected = go(tmp_path / "whole", whole)
    asked: list[str] = []
    for limit in (5, 6, 18, 30, 1000):
        backend = Slow()
        summary = go(tmp_path, backend, resume="latest" if asked else None, budget__calls=limit)
        asked += [request.digest for request in backend.requests]
        assert len(asked) == min(limit, len(whole.requests))
    assert summary.status == "done"
    assert sorted(asked) == sorted(request.digest for request in whole.requests)
    for fact in ("accuracy_before", "accuracy_after", "playbook_version", "playbook_bullets", "calls", "tokens"):
        assert getattr(summary, fact) == getattr(expected, fact)


def test_with_the_same_budget_a_resumed_run_asks_nothing(tmp_path: Path) -> None:
    go(tmp_path, Slow(), budget__calls=9)
    backend = Slow()
    summary = go(tmp_path, backend, resume="latest", budget__calls=9)
    assert (summary.status, backend.requests) == ("budget", [])


def test_tokens_and_money_stop_the_run_within_the_calls_under_way(tmp_path: Path) -> None:
    price = {"input": 2.0, "output": 10.0}
    changes: dict[str, Any] = {"models": {"main": {"provider": "scripted", "model": "scripted", "price": price}}}
    (tmp_path / "whole").mkdir()
    whole = go(tmp_path / "whole", micro_backend(), adaptation__batch_size=1, **changes)
    tokens = sum(used.prompt + used.completion for used in whole.tokens.values())
    money = sum(used.prompt * 2.0 + used.completion * 10.0 for used in whole.tokens.values()) / 1_000_000
    for key, half in (("tokens", tokens // 2), ("money", money / 2)):
        folder = tmp_path / key
        folder.mkdir()
        backend = micro_backend()
        changes[f"budget__{key}"] = half
        summary = go(folder, backend, adaptation__batch_size=1, **changes)
        del changes[f"budget__{key}"]
        spent = sum(used.prompt + used.completion for used in summary.tokens.values())
        assert summary.status == "budget"
        assert 0.4 * tokens < spent < 0.7 * tokens
        assert len(paid(folder)) == len(backend.requests) == sum(summary.calls.values())


def test_each_limit_is_named_with_what_was_spent() -> None:
    now = [0.0]
    common = {"task": {"name": "micro"}, "models": {"main": {"model": "m", "price": {"input": 1.0, "output": 2.0}}}}
    used = Usage(prompt_tokens=600_000, cached_tokens=100_000, completion_tokens=400_000)
    for key, limit, left in (
        ("tokens", 1_000_000, Usage(prompt_tokens=999_999)),
        ("money", 1.4, Usage(prompt_tokens=1_300_000)),
    ):
        spending = Spending(settings_from({**common, "budget": {key: limit}}).budget)
        price = settings_from(common).models["main"].price
        spending.add(left, price)
        spending.start()
        spending.add(used, price)
        with pytest.raises(BudgetReachedError, match=rf"budget\.{key} is reached: .* of {limit:,}".replace(",", " ")):
            spending.start()
    for key, gpus in (("wall_s", 0), ("gpu_s", 2)):
        settings = settings_from({**common, "budget": {key: 10.0}})
        spending = Spending(settings.budget, Spent(wall_s=4.0, gpu_s=4.0), gpus=gpus, clock=lambda: now[0])
        now[0] += 2.5
        spending.start()
        now[0] += 4.0
        with pytest.raises(BudgetReachedError, match=rf"budget\.{key}"):
            spending.start()


def test_cached_tokens_have_a_price_of_their_own() -> None:
    prices = {"price": {"input": 3.0, "output": 15.0, "cached": 0.3}}
    settings = settings_from({"task": {"name": "micro"}, "models": {"main": {"model": "m", **prices}}})
    usage = Usage(prompt_tokens=1_000_000, cached_tokens=900_000, completion_tokens=100_000)
    assert cost(usage, settings.models["main"].price) == pytest.approx(0.3 + 0.27 + 1.5)
    assert cost(usage, None) == 0.0


def test_a_budget_of_money_needs_prices() -> None:
    with pytest.raises(ConfigError, match=r"models\.main\.price: found None"):
        settings_from({"task": {"name": "micro"}, "models": {"main": {"model": "m"}}, "budget": {"money": 1.0}})
