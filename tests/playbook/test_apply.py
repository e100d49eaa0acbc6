"""`apply`: what each operation does, and what holds for any delta at all."""

from __future__ import annotations

import pytest
from playbook_strategies import SECTIONS, grown

from ace.playbook import Add, Bullet, Counters, Delta, Merge, Playbook, Provenance, Remove, Section, Tag, Update, apply
from ace.playbook.bullet import LAST_NUMBER

WHO = Provenance(run="run-1", batch=3, sample="s7", role="curator", model="m")


def reasons(playbook: Playbook, *operations: Add | Update | Merge | Remove | Tag) -> list[str]:
    return [skipped.reason for skipped in apply(playbook, Delta(operations)).skipped]


def test_add_appends_with_the_next_number_and_its_provenance() -> None:
    applied = apply(grown("one"), Delta((Add("api", "two", provenance=WHO),)))
    assert [b.id for b in applied.playbook.bullets] == ["str-00001", "api-00002"]
    assert applied.playbook.bullets[1].created == WHO
    assert applied.done[0].id == "api-00002"
    assert applied.playbook.version == 2


def test_update_keeps_id_counters_and_creation() -> None:
    held = apply(grown("one"), Delta((Tag("str-00001", "helpful", 3),))).playbook
    after = apply(held, Delta((Update("str-00001", "uno", provenance=WHO),))).playbook.bullets[0]
    assert (after.id, after.content, after.counters.helpful) == ("str-00001", "uno", 3)
    assert (after.created, after.updated) == (Provenance(), WHO)


def test_merge_makes_one_bullet_with_the_sum_of_the_counters() -> None:
    held = grown("one", "two", "three")
    tags = (Tag("str-00001", "helpful", 2), Tag("str-00003", "helpful"), Tag("str-00003", "used", 4))
    after = apply(held, Delta((*tags, Merge(("str-00001", "str-00003"), "both"))))
    assert [b.id for b in after.playbook.bullets] == ["str-00002", "str-00004"]
    assert after.playbook.bullets[1].counters == Counters(helpful=3, uses=4)
    assert [(line.kind, line.id) for line in after.playbook.prefix[3:]] == [
        ("removed", "str-00001"),
        ("removed", "str-00003"),
        ("bullet", "str-00004"),
    ]


def test_merge_goes_on_without_ids_that_are_not_live() -> None:
    held = grown("one", "two")
    assert len(apply(held, Delta((Merge(("str-00001", "ghost-00009", "str-00002"), "both"),))).playbook) == 1
    assert reasons(held, Merge(("str-00001", "ghost-00009"), "both")) == [
        "a merge needs at least two bullets that are live"
    ]
    assert reasons(held, Merge(("str-00001", "str-00001"), "both")) == [
        "a merge needs at least two bullets that are live"
    ]


def test_a_merge_may_say_what_one_of_its_bullets_said() -> None:
    after = apply(grown("one", "two"), Delta((Merge(("str-00001", "str-00002"), "one"),))).playbook
    assert [(b.id, b.content) for b in after.bullets] == [("str-00003", "one")]


def test_remove_uses_the_number_up() -> None:
    after = apply(grown("one", "two"), Delta((Remove("str-00002"), Add("str", "three")))).playbook
    assert [b.id for b in after.bullets] == ["str-00001", "str-00003"]


def test_tags_count_and_leave_the_prefix_alone() -> None:
    held = grown("one")
    operations = [Tag("str-00001", tag) for tag in ("helpful", "harmful", "neutral", "used", "used")]
    after = apply(held, Delta(tuple(operations))).playbook
    assert after.bullets[0].counters == Counters(1, 1, 1, 2)
    assert after.prefix == held.prefix
    assert after.version == held.version + 1


def test_what_cannot_be_done_is_skipped_with_its_reason() -> None:
    held = grown("one")
    odd = Tag("str-00001", "__class__")  # type: ignore[arg-type]
    assert reasons(
        held,
        Add("str", " \n"),
        Add("str", " str-00002"),
        Add("STR", "x"),
        Add("str", " one "),
        Remove("str-00009"),
        odd,
    ) == [
        "the content is empty",
        "the content is an id alone",
        "section 'STR' is not 2 to 6 letters a-z",
        "str-00001 says the same",
        "no live bullet str-00009",
        "unknown tag '__class__'",
    ]
    assert apply(held, Delta((Remove("x"),))).playbook is held


def test_an_unknown_section_is_made_and_only_with_a_bullet() -> None:
    after = apply(grown("one"), Delta((Add("fresh", "two"), Add("later", "two")))).playbook
    assert [section.slug for section in after.sections] == ["str", "api", "fresh"]


def test_after_the_last_number_nothing_is_added() -> None:
    full = Playbook.of([Bullet(f"str-{LAST_NUMBER}", "str", "last")], SECTIONS)
    assert reasons(full, Add("str", "more")) == [f"all {LAST_NUMBER} bullet numbers are used up"]


def test_content_is_cleaned_before_anything_sees_it() -> None:
    applied = apply(Playbook.empty(), Delta((Add("str", " a\r\nb\u2028c\x00\x1b[1m \ud800 "),)))
    assert applied.playbook.bullets[0].content == "a\nb\nc[1m \N{REPLACEMENT CHARACTER}"
    assert applied.playbook.prefix[0].content == applied.playbook.bullets[0].content


@pytest.mark.slow
def test_ten_thousand_bullets_are_added_and_updated() -> None:
    delta = Delta(tuple(Add("str", f"rule number {number}") for number in range(10_000)))
    full = apply(Playbook.empty(), delta).playbook
    again = apply(full, Delta(tuple(Update(b.id, f"{b.content} again") for b in full.bullets))).playbook
    assert len(again) == 10_000 and again.dead_lines == 10_000


@pytest.mark.parametrize("title", ["two\nlines", "two \u2028 lines ", "two\tlines"])
def test_a_title_is_one_line(title: str) -> None:
    assert Section("str", title).title == "two lines"
