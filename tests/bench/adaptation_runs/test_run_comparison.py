"""The run benchmark: every mode does the same work, and one by one means one by one."""

from __future__ import annotations

import asyncio
import json

import pytest

from ace.bench.adaptation_runs.one_by_one import SerialBackend
from ace.bench.adaptation_runs.run_comparison import measure_runs
from ace.bench.adaptation_runs.run_modes import EARLY, ESCALATING, TIERED, TWO, Mode, together
from ace.inference import BackendInfo, EngineMeter
from ace.types import Completion, Message, Request, Usage


class Counting:
    """Answers after a turn of the loop, and knows how many it was answering at once."""

    info = BackendInfo("scripted", "counting", "cpu", None, False, 0.0)

    def __init__(self) -> None:
        self.now = self.most = 0

    async def complete(self, request: Request) -> Completion:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)
        self.now -= 1
        return Completion("x", "stop", Usage(), "counting")

    def count_tokens(self, text: str) -> int:
        return len(text)

    def meter(self) -> EngineMeter | None:
        return None

    async def close(self) -> None:
        """Nothing to free."""


def test_one_by_one_never_asks_two_at_once() -> None:
    async def ask(backend: Counting | SerialBackend) -> None:
        await asyncio.gather(*(backend.complete(Request((Message("user", str(n)),))) for n in range(8)))

    free, inner = Counting(), Counting()
    asyncio.run(ask(free))
    asyncio.run(ask(SerialBackend(inner)))
    assert (free.most, inner.most) == (8, 1)


@pytest.mark.engine
@pytest.mark.nightly
def test_modes_work_the_same_samples() -> None:
    pytest.importorskip("transformers")
    on_transformers = {"models": {"small": {"provider": "huggingface"}}}
    modes = (
        Mode("one by one", "huggingface", serial=True),
        Mode("batched", "huggingface"),
        Mode("early", "huggingface", settings=EARLY),
        Mode("small", "huggingface", settings=together(TIERED, on_transformers)),
        Mode("tiers", "huggingface", settings=together(ESCALATING, on_transformers)),
    )
    report = measure_runs(samples=6, epochs=2, repetitions=1, seed=7, modes=modes)
    one, batched, early, small, tiers = report.rows
    assert one.calls == batched.calls and one.accuracy == batched.accuracy
    assert one.calls["generator"] >= 12 and one.calls["reflector"] >= 12
    assert early.calls["reflector"] <= batched.calls["reflector"]
    assert small.calls["generator"] > 0 and small.role_s["escalated"] == 0
    assert tiers.accuracy >= small.accuracy and tiers.role_s["escalated"] > 0
    assert one.speedup == 1.0 and all(
        row.seconds > 0 and sum(row.role_s.values()) <= row.seconds * 1.01 for row in report.rows
    )
    assert json.loads(json.dumps(report.to_json()))["work"]["samples"] == 6
    assert report.to_markdown().count("\n| ") == 3 * (1 + len(modes))
    assert one.bound is not None and one.bound.steps is not None and one.bound.steps > one.calls["generator"]
    assert batched.bound is not None and batched.bound.steps is None
    assert batched.bound.tokens == one.bound.tokens
    assert all(row.bound is not None and 0 < row.bound.reached < 1 for row in report.rows)
    assert set(report.rooflines) == {"micro-target", "micro-draft"}


@pytest.mark.engine
@pytest.mark.ray
@pytest.mark.nightly
def test_engines_side_by_side_are_told_apart_from_one() -> None:
    modes = (Mode("one engine"), Mode("two engines", settings=TWO))
    report = measure_runs(samples=6, epochs=1, repetitions=1, seed=7, batch=6, threads=1, modes=modes)
    one, two = (row.bound for row in report.rows)
    assert one is not None and two is not None and (one.engines, two.engines) == (1, 2)
    assert two.products_s == pytest.approx(one.products_s * two.tokens / one.tokens / 2, rel=0.1)
    told = report.to_markdown()
    assert told.count("at most") == 1 and "| two engines |" in told
    assert report.work.threads == 1 and "--threads 1" in told
