"""The token budget: who goes, in which order, and how much room is made."""

from __future__ import annotations

import pytest
from playbook_strategies import grown, tagged

from ace.playbook import Add, Counters, Delta, LineFormats, Playbook, Remove, Update, apply, enforce_budget, render

FORMATS = LineFormats()


def words(text: str) -> int:
    return len(text.split())


def evicted(playbook: Playbook, limit: int, headroom: float = 0.0) -> list[str]:
    operations = enforce_budget(playbook, words, limit, FORMATS, headroom=headroom).delta.operations
    return [operation.id for operation in operations if isinstance(operation, Remove)]


def test_within_the_budget_nothing_is_touched() -> None:
    held = apply(grown("one", "two"), Delta((Remove("str-00001"),))).playbook
    found = enforce_budget(held, words, words(render(held, FORMATS)), FORMATS)
    assert found.playbook is held and not found.compacted and not found.delta.operations


def test_dead_lines_go_before_any_bullet() -> None:
    held = apply(grown("one", "two"), Delta((Update("str-00001", "uno"), Update("str-00002", "due")))).playbook
    found = enforce_budget(held, words, 4, FORMATS)
    assert (found.playbook.dead_lines, found.compacted, len(found.delta)) == (0, True, 0)


def test_the_least_evidence_goes_first_and_the_newest_last() -> None:
    held = tagged(
        grown("one", "two", "three", "four", "five", "six"),
        b1=Counters(helpful=2),
        b2=Counters(helpful=1, harmful=3),
        b3=Counters(helpful=1),
        b5=Counters(uses=2),
    )
    order = ["str-00002", "str-00004", "str-00006", "str-00005", "str-00003", "str-00001"]
    assert [evicted(held, 2 * left) for left in range(1, 6)] == [order[: 6 - left] for left in range(1, 6)]


def test_the_reason_gives_the_evidence() -> None:
    held = tagged(grown("one", "two"), b1=Counters(harmful=3, uses=4))
    (removal,) = enforce_budget(held, words, 2, FORMATS).delta.operations
    assert removal == Remove("str-00001", "over the token budget; helpful 0, harmful 3, uses 4")


def test_a_bullet_that_can_never_fit_does_not_push_the_others_out() -> None:
    held = apply(grown("one", "two", "three"), Delta((Add("str", "word " * 50),))).playbook
    assert evicted(held, 8, headroom=0.5) == ["str-00004"]


def test_an_eviction_leaves_room_so_that_the_next_additions_only_append() -> None:
    held = grown(*(f"rule{n}" for n in range(21)))
    found = enforce_budget(held, words, 40, FORMATS).playbook
    assert len(found) == 18
    after = apply(found, Delta((Add("str", "more"),))).playbook
    assert enforce_budget(after, words, 40, FORMATS).playbook is after


@pytest.mark.slow
def test_ten_thousand_bullets_take_no_time() -> None:
    held = grown(*(f"rule {n}" for n in range(10_000)))
    assert len(enforce_budget(held, words, 15_000, FORMATS).playbook) == 4_500
