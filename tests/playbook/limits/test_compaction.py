"""The cost model of compaction: what it counts, and that its decisions are never much dearer than the best ones."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st
from playbook_strategies import MICRO, grown, histories

from ace.playbook import (
    Add,
    CompactionCost,
    Delta,
    Playbook,
    Remove,
    Update,
    apply,
    compaction_cost,
    pays_to_compact,
)


def words(text: str) -> int:
    return len(text.split())


def cost(cached: Playbook, playbook: Playbook) -> CompactionCost:
    return compaction_cost(cached, playbook, words, MICRO)


def test_what_is_counted() -> None:
    held = grown("a b", "c d", "e f")  # a line is its two words and its id
    assert cost(held, held) == CompactionCost(dead=0, reprefill=0)
    updated = apply(held, Delta((Update("str-00002", "x y"),))).playbook
    # Four words of "now x y [id]" take the place of three; what follows the first line is computed again, less the
    # amendment, which has to be computed in any case.
    assert cost(held, updated) == CompactionCost(dead=4, reprefill=6 - 4)
    assert cost(updated, updated) == CompactionCost(dead=4, reprefill=6)
    last = apply(held, Delta((Remove("str-00003"),))).playbook
    assert cost(last, last) == CompactionCost(dead=7, reprefill=0)
    grown_on = apply(updated, Delta((Add("str", "g h"),))).playbook
    assert cost(updated, grown_on) == CompactionCost(dead=4, reprefill=9 - 3)


@given(histories())
def test_what_is_compact_has_nothing_to_pay_for(versions: list[Playbook]) -> None:
    for before, after in itertools.pairwise(versions):
        compact = after.compacted()
        assert cost(before, compact).dead == 0
        assert not pays_to_compact(cost(before, compact), paid=1e9, next_calls=1e9, calls_ahead=1e9, price=1.0)


costs = st.builds(CompactionCost, dead=st.integers(0, 500), reprefill=st.integers(0, 5000))
counts = st.floats(0, 1000)


@given(costs, st.floats(0, 1e4), counts, counts, st.floats(0, 1), st.integers(0, 100))
def test_more_reason_never_changes_a_yes(
    held: CompactionCost, paid: float, soon: float, ahead: float, price: float, more: int
) -> None:
    if pays_to_compact(held, paid=paid, next_calls=soon, calls_ahead=ahead, price=price):
        richer = CompactionCost(held.dead + more, held.reprefill)
        assert pays_to_compact(richer, paid=paid, next_calls=soon, calls_ahead=ahead, price=price)
        assert pays_to_compact(held, paid=paid + more, next_calls=soon, calls_ahead=ahead + more, price=price)
        assert held.dead and price * held.dead * ahead > held.reprefill


def total(grows: list[int], reprefill: int, calls: int, price: float) -> float:
    """What a run pays for dead tokens and compactions by the rule."""
    dead, paid, spent = 0, 0.0, 0.0
    for batch, grown_by in enumerate(grows):
        left = (len(grows) - batch) * calls
        dead += grown_by
        if pays_to_compact(CompactionCost(dead, reprefill), paid=paid, next_calls=calls, calls_ahead=left, price=price):
            spent, dead, paid = spent + reprefill, 0, 0.0
        spent += price * dead * calls
        paid += price * dead * calls
    return spent


def best(grows: list[int], reprefill: int, calls: int, price: float) -> float:
    """The least that any plan pays which knows everything, by dynamic programming over the last compaction."""
    plans = {0: 0.0}  # dead tokens -> least spent so far
    for grown_by in grows:
        following: dict[int, float] = {}
        for dead, spent in plans.items():
            for held, paid in ((dead + grown_by, spent), (0, spent + reprefill)):
                following[held] = min(following.get(held, float("inf")), paid + price * held * calls)
        plans = following
    return min(plans.values())


@given(st.lists(st.integers(0, 40), min_size=1, max_size=12), st.integers(1, 3000), st.integers(1, 80))
def test_no_run_pays_more_than_about_twice_the_best_plan(grows: list[int], reprefill: int, calls: int) -> None:
    # Two of them: one re-prefill where the best plan pays for the tokens, and what is paid until then; and one more
    # re-prefill at the end, where too few calls are left to repay it.
    assert total(grows, reprefill, calls, 0.1) <= 2 * best(grows, reprefill, calls, 0.1) + reprefill
