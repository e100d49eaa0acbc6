"""Working sets: what is retrieved, what prompts show of it, and what curation may touch."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from playbook_strategies import MICRO, deltas_for, grown, playbooks, tagged

from ace.playbook import (
    Add,
    Counters,
    Delta,
    Merge,
    NgramEmbedder,
    Playbook,
    Remove,
    Tag,
    Update,
    WorkingSet,
    apply,
    dedup_delta,
    recall,
    render,
    retrieve,
    visible_playbook,
)

EMBEDDER = NgramEmbedder()
HELD = grown("round interest last", "convert months first", "check the sign", "use closing balance")


def words(text: str) -> int:
    return len(text.split())


def chosen(playbook: Playbook, questions: list[str], tokens: int) -> list[str]:
    found = retrieve(playbook, questions, EMBEDDER, tokens=tokens, count_tokens=words, formats=MICRO)
    return [bullet.content for bullet in found.view(playbook).bullets]


def test_bullets_like_a_question_are_shown_in_creation_order() -> None:
    questions = ["Which sign does it have?", "How is the interest rounded?"]
    assert chosen(HELD, questions, 8) == ["round interest last", "check the sign"]
    assert chosen(HELD, questions, 100) == [bullet.content for bullet in HELD.bullets]
    assert chosen(HELD, questions, 1) == []


def test_the_record_counts_beside_likeness_and_alone_without_questions() -> None:
    proven = tagged(HELD, b2=Counters(helpful=9), b1=Counters(harmful=9))
    assert chosen(proven, [], 8) == ["convert months first", "check the sign"]
    assert chosen(HELD, [], 8) == ["round interest last", "convert months first"]


@given(playbooks.flatmap(lambda held: st.tuples(st.just(held), deltas_for(held))), st.integers(1, 40))
def test_the_view_grows_as_the_playbook_does(pair: tuple[Playbook, Delta], tokens: int) -> None:
    before, delta = pair
    found = retrieve(before, ["kujant -> KQT"], EMBEDDER, tokens=tokens, count_tokens=words, formats=MICRO)
    after = apply(before, delta).playbook
    shown, grown_on = found.view(before), found.view(after)
    assert words(render(shown.compacted(), MICRO)) <= max(tokens, 1)
    assert grown_on.prefix[: len(shown.prefix)] == shown.prefix
    assert shown.prefix_is_true and grown_on.prefix_is_true
    fresh = {bullet.id for bullet in after.bullets} - {bullet.id for bullet in before.bullets}
    assert {bullet.id for bullet in grown_on.bullets} == (found.ids & set(after.by_id)) | fresh


def test_what_was_not_shown_cannot_be_changed() -> None:
    shown = WorkingSet(frozenset({"str-00001", "str-00002"}), HELD.next_number).view(HELD)
    delta = Delta(
        (
            Update("str-00003", "guessed"),
            Remove("str-00004"),
            Update("str-00001", "known"),
            Merge(("str-00001", "str-00002", "str-00003"), "both"),
            Add("str", "new"),
            Remove("str-00099"),
            Tag("str-00003", "helpful"),
        )
    )
    assert visible_playbook(delta, HELD, shown).operations == (
        Update("str-00001", "known"),
        Merge(("str-00001", "str-00002"), "both"),
        Add("str", "new"),
        Remove("str-00099"),
        Tag("str-00003", "helpful"),
    )
    assert visible_playbook(delta, HELD, HELD) == delta


def test_what_is_found_again_outside_the_set_moves_to_the_end() -> None:
    found = WorkingSet(frozenset({"str-00001"}), HELD.next_number)
    again = Delta((Add("str", "check the sign"), Add("str", "round interest last"), Add("str", "check the sign")))
    delta, dropped = recall(dedup_delta(HELD, again, EMBEDDER, 0.9), HELD, found.view(HELD))
    assert [skipped.reason for skipped in dropped] == ["duplicate of str-00001"]
    applied = apply(HELD, delta)
    assert not applied.skipped
    assert [bullet.content for bullet in found.view(applied.playbook).bullets] == [
        "round interest last",
        "check the sign",
    ]
    assert len(applied.playbook) == len(HELD)
    whole = recall(dedup_delta(HELD, again, EMBEDDER, 0.9), HELD, HELD)
    assert whole == (Delta(()), dedup_delta(HELD, again, EMBEDDER, 0.9).dropped)
