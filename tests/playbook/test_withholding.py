"""WITHHOLD and RELEASE: what people do with bullets that should be in no prompt, or should be in one again."""

from __future__ import annotations

from playbook_strategies import grown

from ace.playbook import Add, Counters, Delta, LineFormats, Quarantine, Release, Tag, Update, Withhold, apply, render


def test_a_withheld_bullet_is_in_no_prompt_and_keeps_its_id_and_reason() -> None:
    after = apply(grown("one", "two"), Delta((Withhold("str-00001", "names a customer"),))).playbook
    assert [bullet.id for bullet in after.bullets] == ["str-00002"]
    (withheld,) = after.quarantined
    assert (withheld.id, withheld.content, withheld.reasons) == ("str-00001", "one", ("names a customer",))
    assert after.prefix_is_true and "one" not in render(after.compacted(), LineFormats())


def test_a_released_bullet_is_appended_with_its_id_and_new_counters() -> None:
    tagged = apply(grown("one", "two"), Delta((Tag("str-00001", "helpful", 3), Withhold("str-00001")))).playbook
    after = apply(tagged, Delta((Release("str-00001"),))).playbook
    assert [bullet.id for bullet in after.bullets] == ["str-00002", "str-00001"]
    assert after.bullets[1].counters == Counters() and after.quarantined == ()
    assert render(after, LineFormats()).startswith(render(tagged, LineFormats()))  # the prefix only grows


def test_what_the_guard_quarantined_is_released_into_a_section_that_is_made() -> None:
    flagged = apply(grown("one"), Delta((Quarantine("fresh", "two", ("a secret",)),))).playbook
    assert [section.slug for section in flagged.sections] == ["str", "api"]
    after = apply(flagged, Delta((Release("fresh-00002"),))).playbook
    assert after.bullets[-1].content == "two" and after.sections[-1].slug == "fresh"


def test_what_cannot_be_withheld_or_released_is_skipped_with_the_reason() -> None:
    withheld = apply(grown("one", "two"), Delta((Withhold("str-00001"),))).playbook
    skipped = apply(withheld, Delta((Withhold("str-00001"), Release("str-00002"), Add("str", "one")))).skipped
    assert [one.reason for one in skipped] == [
        "str-00001 is quarantined",
        "no quarantined bullet str-00002",
        "str-00001 says the same and is quarantined",
    ]
    again = apply(withheld, Delta((Update("str-00002", "three"), Release("str-00001"), Add("str", "one"))))
    assert [one.reason for one in again.skipped] == ["str-00001 says the same"]
