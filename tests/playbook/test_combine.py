"""Playbooks that have grown apart become one, the same one every time."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from playbook_strategies import playbooks

from ace.playbook import (
    Add,
    Bullet,
    CombinedPlaybook,
    Counters,
    Delta,
    NgramEmbedder,
    Playbook,
    Remove,
    Section,
    Update,
    apply,
    combine_playbooks,
)

RULES, FORMULAS = Section("str", "Strategies"), Section("calc", "Formulas")
BASE = Playbook.of(
    [
        Bullet("str-00001", "str", "Tickets about invoices go to Q17.", Counters(helpful=2)),
        Bullet("str-00002", "str", "Tickets about parcels go to X59.", Counters(helpful=1)),
    ],
    [RULES],
)


def combine(*playbooks: Playbook, base: Playbook | None = None, threshold: float = 0.92) -> CombinedPlaybook:
    return combine_playbooks(playbooks, base=base, embedder=NgramEmbedder(), threshold=threshold)


def grown(*operations: Add | Update | Remove) -> Playbook:
    return apply(BASE, Delta(operations)).playbook


def contents(playbook: Playbook) -> list[str]:
    return [bullet.content for bullet in playbook.bullets]


def test_additions_of_all_playbooks_are_kept_in_order() -> None:
    one, two = grown(Add("str", "Ask for the serial number.")), grown(Add("calc", "VAT is 19 percent."))
    two = replace(two, sections=(RULES, FORMULAS))
    combined = combine(one, two, base=BASE)
    assert contents(combined.playbook) == [*contents(BASE), "Ask for the serial number.", "VAT is 19 percent."]
    assert combined.playbook.sections == (RULES, FORMULAS)
    assert combined.conflicts == () and combined.duplicates == ()


def test_a_change_on_one_side_stands_and_of_two_the_earlier() -> None:
    one, two = grown(Update("str-00001", "Invoices go to Q18.")), grown(Update("str-00001", "Invoices go to Q19."))
    assert contents(combine(one, BASE, base=BASE).playbook)[0] == "Invoices go to Q18."
    combined = combine(one, two, base=BASE)
    assert contents(combined.playbook)[0] == "Invoices go to Q18."
    assert [drop.operation for drop in combined.conflicts] == [Update("str-00001", "Invoices go to Q19.")]


def test_a_removal_counts_unless_another_playbook_reworded_the_bullet() -> None:
    removed, reworded = grown(Remove("str-00002")), grown(Update("str-00002", "Parcels go to X60."))
    assert contents(combine(removed, BASE, base=BASE).playbook) == ["Tickets about invoices go to Q17."]
    combined = combine(removed, reworded, base=BASE)
    assert "Parcels go to X60." in contents(combined.playbook)
    assert [drop.operation for drop in combined.conflicts] == [Remove("str-00002")]


def test_counters_are_those_of_the_base_and_what_each_playbook_added() -> None:
    def counted(helpful: int) -> Playbook:
        first, second = BASE.bullets
        return replace(BASE, bullets=(replace(first, counters=Counters(helpful=helpful)), second))

    combined = combine(counted(5), counted(3), base=BASE).playbook
    assert combined.bullets[0].counters == Counters(helpful=2 + 3 + 1)
    assert combined.bullets[1].counters == Counters(helpful=1)


def test_without_a_base_bullets_are_matched_by_their_words() -> None:
    other = Playbook.of(
        [
            Bullet("str-00001", "str", "Tickets about parcels go to  X59.", Counters(helpful=4)),
            Bullet("str-00002", "str", "Something else."),
        ],
        [RULES],
    )
    combined = combine(BASE, other)
    assert contents(combined.playbook) == [*contents(BASE), "Something else."]
    assert combined.playbook.bullets[1].counters.helpful == 5
    assert len(combined.duplicates) == 1


@given(playbooks, playbooks)
def test_the_result_is_a_sound_playbook_and_combining_it_again_changes_nothing(one: Playbook, two: Playbook) -> None:
    combined = combine(one, two, threshold=1.0).playbook
    assert combined == combine(one, two, threshold=1.0).playbook
    assert combined.prefix_is_true
    assert contents(combine(combined, threshold=1.0).playbook) == contents(combined)
