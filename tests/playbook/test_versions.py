"""Versions of a playbook: each acts as the same playbook read from a file, and dedup finds what a full search finds."""

from __future__ import annotations

import copy
import pickle
import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from playbook_strategies import MICRO, SECTIONS, STANDARD, deltas_for, grown, histories

from ace.playbook import (
    Add,
    Bullet,
    Delta,
    Embedder,
    NgramEmbedder,
    Playbook,
    Remove,
    Update,
    apply,
    dedup_delta,
    render,
)
from ace.playbook.similarity.text_features import adds_a_word, content_stems, signature, stem_set

EMBEDDER = NgramEmbedder()
VERBS = ["convert", "converts", "converted", "check", "read", "reading", "is", "ad", "add", "adds"]
NOUNS = ["the", "of", "and", "rate", "rates", "table", "tables", "header", "date", "total", "page", "column", "sign"]
TURNS = ["not", "before", "5", "USD"]
WORDS = [*VERBS, *NOUNS, *TURNS]
CROWD = [" ".join(random.Random(number).choices(VERBS + NOUNS, k=13)) for number in range(128)]
texts = st.lists(st.sampled_from(WORDS), min_size=8, max_size=14).map(" ".join)
pairs = st.tuples(texts, st.lists(st.tuples(st.integers(0, 13), st.sampled_from(WORDS)), max_size=2))


class Semantic:
    """An embedder that sees no spelling: to it, texts of one length are alike."""

    def embed(self, texts: Sequence[str]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        rows = np.array([[len(text), 40.0] for text in texts], dtype=np.float32).reshape(-1, 2)
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def fresh(playbook: Playbook) -> Playbook:
    """The same playbook as a file brings it: nothing is known of it yet."""
    return Playbook.from_json(playbook.to_json())


def with_changes(text: str, changes: list[tuple[int, str]]) -> str:
    words = text.split()
    for place, word in changes:
        words[place % len(words)] = word
    return " ".join(words)


def by_brute_force(held: Sequence[Bullet], added: str, embedder: Embedder, threshold: float) -> list[str]:
    """The bullets that a text repeats and that are likest to it, found by looking at all of them."""
    vectors = embedder.embed([added, *(bullet.content for bullet in held)])
    likeness = [float(np.einsum("i,i->", vectors[0], vector)) for vector in vectors[1:]]
    same = {
        bullet.id: alike
        for bullet, alike in zip(held, likeness, strict=True)
        if alike >= threshold
        and signature(bullet.content) == signature(added)
        and not (embedder is EMBEDDER and adds_a_word(added, bullet.content))
    }
    return [identity for identity, alike in same.items() if alike >= max(same.values()) - 1e-6]


@given(st.lists(texts, min_size=1, max_size=12), pairs, st.booleans(), st.booleans())
def test_dedup_finds_what_looking_at_every_bullet_finds(
    held: list[str], added: tuple[str, list[tuple[int, str]]], crowded: bool, semantic: bool
) -> None:
    text = with_changes(*added)
    embedder: Embedder = Semantic() if semantic else EMBEDDER
    first = grown(*(CROWD if crowded else ()), *held[:4])
    playbook = apply(first, Delta(tuple(Add("api", one) for one in (*held[4:], added[0])))).playbook
    dropped = dedup_delta(playbook, Delta((Add("str", text),)), embedder, 0.7).dropped
    expected = by_brute_force(playbook.bullets, text, embedder, 0.7)
    assert bool(dropped) == bool(expected)
    assert not dropped or dropped[0].reason.removeprefix("duplicate of ") in expected


@given(texts, pairs)
def test_a_text_that_adds_no_word_has_all_its_stems_in_the_other(
    one: str, other: tuple[str, list[tuple[int, str]]]
) -> None:
    for added, held in ((one, other[0]), (with_changes(*other), other[0])):
        assert adds_a_word(added, held) or content_stems(added) <= stem_set(held)


@given(histories(), st.data())
def test_a_version_acts_as_the_same_playbook_read_from_a_file(versions: list[Playbook], data: st.DataObject) -> None:
    """Each of them is changed here, the old ones too."""
    for version in versions:
        delta = data.draw(deltas_for(version))
        alone = fresh(version)
        assert dedup_delta(version, delta, EMBEDDER, 0.9) == dedup_delta(alone, delta, EMBEDDER, 0.9)
        applied = apply(version, delta)
        assert applied == apply(alone, delta)
        assert fresh(applied.playbook) == applied.playbook
        assert applied.playbook.by_id == {bullet.id: bullet for bullet in applied.playbook.bullets}
        for formats in (MICRO, STANDARD):
            assert render(version, formats) == render(alone, formats)
            assert render(applied.playbook, formats) == render(fresh(applied.playbook), formats)


def test_two_branches_of_one_version_do_not_see_each_other() -> None:
    root = grown("one")
    left = apply(root, Delta((Add("str", "two"),))).playbook
    right = apply(root, Delta((Add("str", "three"), Update("str-00001", "two"), Add("api", "one")))).playbook
    assert not apply(left, Delta((Add("str", "three"),))).skipped
    assert [s.reason for s in apply(right, Delta((Add("str", "two"),))).skipped] == ["str-00001 says the same"]
    assert [s.reason for s in apply(root, Delta((Update("str-00001", "one"),))).skipped] == ["str-00001 says the same"]


def test_of_two_bullets_of_one_content_the_other_still_says_it() -> None:
    twice = Playbook.of([Bullet("str-00001", "str", "one"), Bullet("str-00002", "str", "one")], SECTIONS)
    applied = apply(twice, Delta((Remove("str-00002"), Add("str", "one"))))
    assert [skipped.reason for skipped in applied.skipped] == ["str-00001 says the same"]


def test_a_copy_of_a_version_is_equal() -> None:
    playbook = apply(grown("one"), Delta((Add("str", "two"),))).playbook
    render(playbook, MICRO)
    for made in (pickle.loads(pickle.dumps(playbook)), copy.deepcopy(playbook)):
        assert (made, hash(made)) == (playbook, hash(playbook))
        assert apply(made, Delta((Add("str", "one"),))).skipped


def test_threads_share_a_playbook() -> None:
    root = grown(*(f"rule {number} says this" for number in range(50)))

    def branch(number: int) -> Playbook:
        made = root
        for turn in range(20):
            made = apply(made, Delta((Add("str", f"thread {number} turn {turn}"),))).playbook
            assert dedup_delta(made, Delta((Add("str", f"Thread {number} turn {turn}."),)), EMBEDDER, 0.9).dropped
        return made

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(branch, range(8)))
    assert all(len(playbook) == 70 and fresh(playbook) == playbook for playbook in made)
