"""Merging concurrent deltas: each written-down rule, and what holds for any deltas."""

from __future__ import annotations

from playbook_strategies import grown

from ace.playbook import (
    Add,
    Delta,
    Merge,
    Operation,
    Playbook,
    Provenance,
    Remove,
    Tag,
    Update,
    merge_deltas,
    resolve_deltas,
)

A, B, C, D = "str-00001", "str-00002", "str-00003", "str-00004"


def merged(*parts: tuple[Operation, ...], snapshot: Playbook | None = None) -> tuple[Operation, ...]:
    return merge_deltas([Delta(part) for part in parts], snapshot).operations


def test_two_updates_the_earlier_stands() -> None:
    first, second = Update(A, "x"), Update(A, "y")
    assert merged((first,), (second,)) == (first,)


def test_three_updates_the_wording_proposed_most_often_stands() -> None:
    first, second, third = Update(A, "x"), Update(A, "y", "one"), Update(A, " y ", "two")
    assert merged((first,), (second,), (third,)) == (second,)


def test_remove_against_update_the_update_stands_in_either_order() -> None:
    assert merged((Remove(A),), (Update(A, "x"),)) == (Update(A, "x"),)
    assert merged((Update(A, "x"),), (Remove(A),)) == (Update(A, "x"),)


def test_the_later_of_overlapping_merges_goes_on_with_the_rest() -> None:
    first, second, third = Merge((A, B), "ab"), Merge((B, C, D), "bcd"), Merge((A, C), "ac")
    assert merged((first,), (second,), (third,)) == (first, Merge((C, D), "bcd"))


def test_a_merge_takes_its_bullets_from_update_and_remove() -> None:
    merge = Merge((A, B), "ab")
    assert merged((Update(A, "x"), Remove(B)), (merge,)) == (merge,)


def test_duplicate_adds_and_removes_count_once_and_case_tells_codes_apart() -> None:
    first = Add("str", "kujant -> KQT", provenance=Provenance(sample="s1"))
    second = Add("api", " kujant  -> KQT", provenance=Provenance(sample="s2"))
    other = Add("str", "kujant -> kqt")
    assert merged((first, Remove(A)), (second, other, Remove(A, "again"))) == (Remove(A), first, other)


def test_tags_all_count_and_come_first() -> None:
    tags = (Tag(A, "helpful"), Tag(A, "helpful"), Tag(A, "harmful"))
    assert merged((Remove(A), tags[0]), tags[1:]) == (*tags, Remove(A))


def test_what_cannot_be_carried_out_takes_nothing_from_others() -> None:
    held = grown("one", "two")
    update = Update(A, "better")
    assert merged((Merge((A, "ghost-00009"), "x"), Update(A, "one"), Update(A, " ")), (update,), snapshot=held) == (
        update,
    )
    assert merged((Update(A, "one"),), (Remove(A),), snapshot=held) == (Remove(A),)


def test_what_loses_is_named_with_the_reason() -> None:
    lost = resolve_deltas([Delta((Merge((A, B), "ab"), Update(C, "x"))), Delta((Update(A, "y"), Remove(C)))]).dropped
    assert [(skipped.operation, skipped.reason) for skipped in lost] == [
        (Update(A, "y"), f"a MERGE of {A} stands"),
        (Remove(C), f"an UPDATE of {C} stands"),
    ]


def test_ten_thousand_operations_take_no_time() -> None:
    many = Delta(tuple(Update(f"str-{number:05d}", "x") for number in range(5_000)))
    adds = Delta(tuple(Add("str", f"rule {number}") for number in range(5_000)))
    assert len(merge_deltas([many, many, adds, adds])) == 10_000
