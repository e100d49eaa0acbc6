"""The written-down rules: what each operation does, who wins a conflict, what is a duplicate, who is evicted first."""

from __future__ import annotations

import dataclasses

import pytest

from ace.errors import PlaybookError
from ace.playbook import (
    Add,
    Bullet,
    Counters,
    Delta,
    LineFormats,
    Merge,
    NgramEmbedder,
    Playbook,
    Remove,
    Section,
    Tag,
    Update,
    apply,
    dedup_delta,
    diff,
    enforce_budget,
    merge_deltas,
    render,
)

SECTIONS = (Section("str", "Strategies"), Section("api", "APIs"))
ONE, TWO, THREE = "str-00001", "str-00002", "api-00003"


@pytest.fixture
def playbook() -> Playbook:
    adds = (Add("str", "first"), Add("str", "second"), Add("api", "third"))
    return apply(Playbook.empty(SECTIONS), Delta(adds)).playbook


def changed(playbook: Playbook, *operations: object) -> Playbook:
    return apply(playbook, Delta(tuple(operations))).playbook  # type: ignore[arg-type]


def reason(playbook: Playbook, operation: object) -> str:
    (skipped,) = apply(playbook, Delta((operation,))).skipped  # type: ignore[arg-type]
    return skipped.reason


def test_add_update_remove(playbook: Playbook) -> None:
    after = changed(playbook, Update(ONE, "better"), Remove(TWO), Add("new", "fourth"))
    assert [(b.id, b.content) for b in after.bullets] == [
        (ONE, "better"),
        (THREE, "third"),
        ("new-00004", "fourth"),
    ]
    assert render(after, LineFormats()).split("\n")[3:] == [
        f"[{ONE}] now better",
        f"[{TWO}] removed",
        "[new-00004] fourth",
    ]
    assert Section("new", "new") in after.sections


def test_merge_sums_counters_and_takes_a_new_id(playbook: Playbook) -> None:
    tagged = changed(playbook, Tag(ONE, "helpful", 2), Tag(TWO, "harmful"), Tag(TWO, "used", 3))
    after = changed(tagged, Merge((ONE, TWO), "both"))
    bullet = after.bullets[-1]
    assert (bullet.id, bullet.content) == ("str-00004", "both")
    assert bullet.counters == Counters(helpful=2, harmful=1, uses=3)
    assert after.get(ONE) is None and after.get(TWO) is None


def test_tags_change_counters_and_not_the_prefix(playbook: Playbook) -> None:
    after = changed(playbook, Tag(ONE, "neutral"), Tag(ONE, "helpful"))
    assert after.bullets[0].counters == Counters(helpful=1, neutral=1)
    assert (after.prefix, after.version) == (playbook.prefix, playbook.version + 1)


def test_what_cannot_be_done_is_skipped_with_a_reason(playbook: Playbook) -> None:
    assert reason(playbook, Update("str-00009", "x")) == "no live bullet str-00009"
    assert reason(playbook, Add("str", " first ")) == f"{ONE} says the same"
    assert reason(playbook, Update(ONE, "third")) == f"{THREE} says the same"
    assert reason(playbook, Add("str", " \n")) == "the content is empty"
    assert "2 to 6 letters" in reason(playbook, Add("S1", "x"))
    assert "two bullets" in reason(playbook, Merge((ONE, ONE), "x"))
    full = dataclasses.replace(playbook, next_number=100_000)
    assert "used up" in reason(full, Add("str", "x"))


def test_an_id_stays_used_up_after_its_bullet_is_gone(playbook: Playbook) -> None:
    after = changed(changed(playbook, Remove(THREE)), Add("api", "again"))
    assert after.bullets[-1].id == "api-00004"


def test_a_playbook_refuses_to_break_its_rules() -> None:
    with pytest.raises(PlaybookError, match="used twice"):
        Playbook.of([Bullet(ONE, "str", "a"), Bullet("api-00001", "api", "b")], SECTIONS)
    with pytest.raises(PlaybookError, match="does not exist"):
        Playbook.of([Bullet("zzz-00001", "zzz", "a")], SECTIONS)
    with pytest.raises(PlaybookError, match="already given"):
        Playbook(0, 1, SECTIONS, (Bullet(ONE, "str", "a"),), ())


def merged(*deltas: tuple[object, ...]) -> list[object]:
    return list(merge_deltas([Delta(operations) for operations in deltas]).operations)  # type: ignore[arg-type]


def test_two_updates_the_more_frequent_wording_stands_and_the_earlier_on_a_tie() -> None:
    assert merged((Update(ONE, "a"),), (Update(ONE, "b"),)) == [Update(ONE, "a")]
    assert merged((Update(ONE, "a"),), (Update(ONE, "b"),), (Update(ONE, "b "),)) == [Update(ONE, "b")]


def test_an_update_beats_a_removal_and_a_merge_beats_both() -> None:
    assert merged((Remove(ONE),), (Update(ONE, "a"),)) == [Update(ONE, "a")]
    both = Merge((ONE, TWO), "m")
    assert merged((Update(ONE, "a"),), (both,), (Remove(TWO),)) == [both]


def test_overlapping_merges_the_earlier_takes_the_bullet() -> None:
    first, second = Merge((ONE, TWO), "m"), Merge((TWO, THREE), "n")
    assert merged((first,), (second,)) == [first]
    wide = Merge((TWO, THREE, "api-00004"), "n")
    assert merged((first,), (wide,)) == [first, Merge((THREE, "api-00004"), "n")]


def test_duplicate_adds_and_removals_stand_once_and_tags_come_first() -> None:
    operations = merged((Add("str", "A  rule"), Remove(ONE)), (Add("api", "A rule"), Remove(ONE), Tag(TWO, "helpful")))
    assert operations == [Tag(TWO, "helpful"), Remove(ONE), Add("str", "A  rule")]


LONG = (
    "Always check every page of a list before you use its length, because most of the APIs return only the first page"
)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("kujant -> KQT", "kujant -> KQP", False),
        ("kujant -> KQT", "brev -> KQT", False),
        ("brev -> 07", "brev -> 08", False),
        ("brev -> 07", "brev  ->  07", True),
        (LONG, LONG + ".", True),
        (LONG, LONG.replace("before", "Before"), True),
        (LONG + " of 20 items", LONG + " of 50 items", False),
        (LONG, LONG.replace("only", "not only"), False),
        (LONG + " `page_limit`", LONG + " `page_index`", False),
        ("Use the API", "Round to two decimals", False),
    ],
)
def test_duplicates_say_the_same_in_nearly_the_same_words(one: str, other: str, same: bool) -> None:
    delta = Delta((Add("str", one), Add("str", other)))
    deduped = dedup_delta(Playbook.empty(SECTIONS), delta, NgramEmbedder(), 0.92)
    assert (len(deduped.delta), len(deduped.dropped)) == ((1, 1) if same else (2, 0))
    held = apply(Playbook.empty(SECTIONS), Delta((Add("str", one),))).playbook
    against = dedup_delta(held, Delta((Add("api", other),)), NgramEmbedder(), 0.92)
    assert [s.reason for s in against.dropped] == (["duplicate of str-00001"] if same else [])


def test_the_least_proven_bullet_is_evicted_first_and_new_ones_last() -> None:
    counters = (Counters(helpful=1), Counters(harmful=2), Counters(), Counters(uses=1), Counters())
    bullets = [Bullet(f"str-{n:05d}", "str", f"bullet {n}", c) for n, c in enumerate(counters, 1)]
    held = Playbook.of(bullets, SECTIONS)
    gone = []
    for limit in (12, 9, 6, 3):  # three words a line
        kept = enforce_budget(held, lambda text: len(text.split()), limit, LineFormats())
        gone += [o.id for o in kept.delta.operations if isinstance(o, Remove)]
        held = kept.playbook
    assert gone == ["str-00002", "str-00003", "str-00005", "str-00004"]


def test_dead_lines_go_before_bullets(playbook: Playbook) -> None:
    after = changed(playbook, Update(ONE, "better"))
    held = enforce_budget(after, lambda text: len(text.split()), 6, LineFormats())
    assert (len(held.playbook), held.delta, held.compacted) == (3, Delta(()), True)


def test_diff_names_what_happened(playbook: Playbook) -> None:
    after = changed(playbook, Update(ONE, "better"), Remove(TWO), Add("str", "fourth"), Tag(THREE, "helpful"))
    found = diff(playbook, after)
    assert [b.content for b in found.added] == ["fourth"]
    assert [(c.before.content, c.after.content) for c in found.updated] == [("first", "better")]
    assert [b.id for b in found.removed] == [TWO]
    assert [c.after.id for c in found.retagged] == [THREE]
    assert diff(after, after).empty
