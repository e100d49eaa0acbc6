"""Costs of known shapes by hand, a bound that is never too high, and rates that are really measured."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ace.bench.hardware.engine_threads import parallel_speedup
from ace.bench.hardware.model_cost import Load, ModelCost
from ace.bench.hardware.model_shapes import build_shape, weight_bytes
from ace.bench.hardware.roofline import Bound, Ceiling, ModelCalls, Roofline, against_hardware, roofline_here
from ace.inference import model_path
from ace.inference.precision import default_dtype
from ace.inference.provider_choice import on_cpu
from ace.types import Usage

SMALL = ModelCost(hidden=8, intermediate=16, layers=2, heads=2, kv_heads=1, head_size=4, vocabulary=10)
BODY = 2 * (8 * (8 + 2 * 4) + 8 * 8 + 3 * 8 * 16)
HEAD = 8 * 10

usages = st.builds(
    lambda prompt, cached, said, drafted, accepted: Usage(
        prompt, min(cached, prompt - 1), said, drafted_tokens=drafted, accepted_tokens=min(accepted, drafted)
    ),
    st.integers(1, 300),
    st.integers(0, 300),
    st.integers(0, 100),
    st.integers(0, 100),
    st.integers(0, 100),
)
rooflines = st.builds(Roofline, st.floats(1e3, 1e15), st.floats(1e3, 1e13))
loads = st.builds(Load, st.integers(0, 10**6), st.integers(0, 10**15), st.integers(0, 10**4), st.integers(0, 10**13))


def test_a_shape_costs_what_its_matrices_have() -> None:
    assert (SMALL.body, SMALL.head) == (BODY, HEAD)
    assert SMALL.step_bytes == 2 * (BODY + HEAD)
    assert replace(SMALL, dtype="float32").step_bytes == 4 * (BODY + HEAD)
    assert SMALL.attention(3) == 2 * 2 * (2 * 4 * 3 * 2)  # two layers, QK^T and PV, 2 heads of 4 over 3 tokens


def test_an_answer_costs_its_prompt_but_for_the_cache_and_all_of_its_tokens_but_the_last() -> None:
    load = SMALL.answered([Usage(prompt_tokens=5, cached_tokens=2, completion_tokens=3)], steps=3)
    computed = [3, 4, 5, 6, 7]  # tokens that each of them attends to: two stand in the cache
    assert load.tokens == len(computed)
    assert load.flops == 2 * BODY * 5 + 2 * HEAD * 3 + SMALL.attention(sum(computed))
    assert (load.steps, load.read_bytes) == (3, 3 * SMALL.step_bytes)


def test_a_call_that_was_never_answered_costs_nothing() -> None:
    assert SMALL.answered([Usage()], None) == SMALL.guessed([Usage(5, 0, 3)]) == Load(0, 0)


def test_guesses_cost_the_model_that_checks_them_and_the_one_that_makes_them() -> None:
    plain = Usage(prompt_tokens=5, completion_tokens=6)
    guessed = Usage(prompt_tokens=5, completion_tokens=6, drafted_tokens=4, accepted_tokens=3, draft_steps=2)
    in_vain = 2 * BODY + 2 * HEAD + SMALL.attention(5)
    assert SMALL.answered([guessed], None).flops - SMALL.answered([plain], None).flops == in_vain
    load = SMALL.guessed([guessed])
    assert load.tokens == 5 + 3
    assert load.flops == 2 * BODY * 8 + 2 * HEAD * 4 + SMALL.attention(1 + 2 + 3 + 4 + 5 + 3 * 5)


@given(st.lists(usages, max_size=4), usages)
def test_a_call_more_never_costs_less_and_costs_add_up(some: list[Usage], more: Usage) -> None:
    before, after, alone = (SMALL.answered(asked, None) for asked in (some, [*some, more], [more]))
    assert (after.tokens, after.flops) == (before.tokens + alone.tokens, before.flops + alone.flops)
    assert alone.tokens >= 0 and alone.flops >= 0


@given(usages, st.integers(0, 300))
def test_what_the_cache_holds_is_never_dearer(usage: Usage, cached: int) -> None:
    more = Usage(usage.prompt_tokens, min(usage.cached_tokens + cached, usage.prompt_tokens), usage.completion_tokens)
    less = Usage(usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens)
    assert SMALL.answered([more], None).flops <= SMALL.answered([less], None).flops


@given(st.lists(st.tuples(loads, rooflines), min_size=1, max_size=3), st.floats(1e-3, 1e6))
def test_a_bound_is_never_above_the_sum_of_both_and_never_below_either(
    work: list[tuple[Load, Roofline]], seconds: float
) -> None:
    bound = Bound.of(work, seconds)
    assert max(bound.products_s, bound.reading_s) <= bound.least_s * (1 + 1e-9)
    assert bound.least_s <= (bound.products_s + bound.reading_s) * (1 + 1e-9)
    assert bound.reached == pytest.approx(bound.least_s / seconds)
    faster = [(load, Roofline(2 * rate.flops_per_s, 2 * rate.bytes_per_s)) for load, rate in work]
    assert Bound.of(faster, seconds).least_s == pytest.approx(bound.least_s / 2)


@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**6)), min_size=1), rooflines)
def test_a_bound_from_totals_is_never_above_the_one_step_by_step(steps: list[tuple[int, int]], rate: Roofline) -> None:
    every = sum(max(flops / rate.flops_per_s, read / rate.bytes_per_s) for flops, read in steps)
    totals = Load(0, sum(flops for flops, _ in steps), len(steps), sum(read for _, read in steps))
    assert Bound.of([(totals, rate)], 1.0).least_s <= every * (1 + 1e-9)


def test_models_that_work_in_turn_add_up() -> None:
    rate = Roofline(flops_per_s=10.0, bytes_per_s=10.0)
    bound = Bound.of([(Load(1, 50, 2, 20), rate), (Load(3, 10, 4, 40), rate)], seconds=18.0)
    assert (bound.tokens, bound.steps) == (4, 6)
    assert (bound.products_s, bound.reading_s, bound.least_s, bound.reached) == (6.0, 6.0, 9.0, 0.5)


@pytest.mark.parametrize("name", ["0.36b", "qwen2.5-7b"])
def test_a_config_is_read_with_its_fewer_heads_for_keys(tmp_path: Path, name: str) -> None:
    folder = build_shape(name, tmp_path)
    cost = ModelCost.of(folder)
    assert cost is not None and cost.kv_heads < cost.heads
    embeddings = 0 if name == "0.36b" else 2 * cost.head  # tied to the head, or beside it
    assert cost.step_bytes + embeddings == pytest.approx(weight_bytes(folder), rel=1e-3)


def test_heads_may_have_a_size_of_their_own_and_experts_have_no_known_cost(tmp_path: Path) -> None:
    config = json.loads((Path(model_path("micro-target")) / "config.json").read_text())
    file = tmp_path / "config.json"
    file.write_text(json.dumps({**config, "head_dim": 32, "num_key_value_heads": None}))
    cost = ModelCost.of(tmp_path)
    assert cost is not None and (cost.head_size, cost.kv_heads) == (32, 4)
    assert cost.layer[:2] == ((256, 3 * 4 * 32), (4 * 32, 256))
    file.write_text(json.dumps({**config, "num_experts": 8}))
    assert ModelCost.of(tmp_path) is None
    ceiling = Ceiling(threads=1)
    assert ceiling.bound([ModelCalls(str(tmp_path), (Usage(1, 0, 1),), 1)], 1.0) is None and ceiling.rooflines == {}


@pytest.mark.engine
def test_rates_are_measured() -> None:
    pytest.importorskip("torch")
    rate = roofline_here(SMALL, seconds=0.0)
    assert 0 < rate.flops_per_s < float("inf") and 0 < rate.bytes_per_s < float("inf")


@pytest.mark.engine
def test_each_shape_is_measured_once_and_each_model_has_its_name(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    same = tmp_path / "same"
    same.mkdir()
    (same / "config.json").write_text((Path(model_path("micro-draft")) / "config.json").read_text())
    ceiling = Ceiling(threads=1)
    calls = (Usage(20, 0, 5, drafted_tokens=8, accepted_tokens=4),)
    bound = ceiling.bound([ModelCalls("micro-draft", calls, 3, draft=str(same))], seconds=2.0)
    assert ceiling.rooflines["micro-draft"] is ceiling.rooflines["same"]
    assert bound is not None and bound.steps == 3 and 0 < bound.reached < 1
    plain = ceiling.bound([ModelCalls("micro-draft", calls, 3)], seconds=2.0)
    assert plain is not None and plain.products_s < bound.products_s and plain.reading_s == bound.reading_s


def test_the_table_says_what_is_left_and_what_nobody_counted() -> None:
    bounds = {
        "counted": Bound(100, 20, 0.5, 0.25, 0.5, 2.5, 0.2),
        "batched": Bound(90, None, 0.5, 0.0, 0.5, 1.0, 0.5),
        "unknown": None,
    }
    table, said = against_hardware(bounds, {"m": Roofline(2.2e11, 9.4e10)})
    assert "| counted | 100 | 20 | 0.500 | 0.250 | 0.500 | 20.0% | 100.00 |" in table
    assert "| batched | 90 | - | 0.500 | - | 0.500 | 50.0% | - |" in table
    assert "| unknown | - | - | - | - | - | - | - |" in table
    assert f"m 220 GFLOP/s in {default_dtype()} products, 94.0 GB/s reading" in said


def test_engines_side_by_side_need_the_same_in_so_many_parts() -> None:
    rate = Roofline(flops_per_s=100.0, bytes_per_s=10.0)
    work = [(Load(1, 600, 4, 20), rate)]
    one, two = Bound.of(work, 10.0), Bound.of(work, 10.0, engines=2, parallel_speedup=2.0)
    assert (one.least_s, two.least_s) == (6.0, 3.0)
    assert one.left_step_s == pytest.approx((10.0 - 6.0) / 4)
    assert two.left_step_s == pytest.approx((10.0 - 3.0) / 2), "each of the two made two steps"
    assert Bound.of([(Load(1, 600), rate)], 10.0).left_step_s is None


@pytest.mark.skipif(not on_cpu(), reason="engines here work on GPUs")
@pytest.mark.parametrize(
    ("engines", "threads", "times"), [(1, 2, 1.0), (2, 1, 2.0), (2, 2, 1.0), (3, 8, 1.0), (4, 2, 2.0)]
)
def test_engines_on_a_cpu_divide_its_threads_until_each_has_one(engines: int, threads: int, times: float) -> None:
    assert parallel_speedup(engines, threads) == times
