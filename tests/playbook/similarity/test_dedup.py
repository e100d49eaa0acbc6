"""Dedup: what is a duplicate, and above all what is not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from playbook_strategies import contents, grown

from ace.playbook import Add, Delta, Merge, NgramEmbedder, Playbook, Remove, Tag, Update, apply, dedup_delta

LONG = (
    "When an API returns its items in pages, loop over the page index until an empty page comes back, "
    "and only then sum the results up."
)
EMBEDDER = NgramEmbedder()


class Everything:
    """An embedder to which all texts are alike, as a semantic one may find."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    def embed(self, texts: Sequence[str]) -> Any:
        self.calls.append(list(texts))
        return np.ones((len(texts), 1), dtype=np.float32)


def dropped(held: str, added: str, embedder: Any = EMBEDDER) -> bool:
    return bool(dedup_delta(grown(held), Delta((Add("str", added),)), embedder, 0.92).dropped)


@pytest.mark.parametrize(
    ("held", "added"),
    [
        ("kujant -> KQT", "kujant  => KQT"),
        ("Always check the API spec before calling it.", "always check the API spec, before calling it"),
        (LONG, LONG.replace("returns its", "returned the").replace("pages,", "pages")),
        (LONG.replace("an empty page", "an empty page of items"), LONG),
    ],
)
def test_the_same_rule_in_nearly_the_same_words_is_a_duplicate(held: str, added: str) -> None:
    assert dropped(held, added)


@pytest.mark.parametrize(
    ("held", "added"),
    [
        ("kujant -> KQT", "kujant -> KQP"),
        ("kujant -> KQT", "kujant -> kqt"),
        ("kujant -> KQT", "brev -> KQT"),
        ("brev -> 07", "brev -> 08"),
        ("brev -> 07", "vrab -> 07"),
        ("brev -> 07", "brev -> 7"),
        ("Convert USD to EUR.", "Convert EUR to USD."),
        ("kujant before brev", "brev before kujant"),
        ("Values of x > 5 are valid.", "Values of x < 5 are valid."),
        ("The offset is -5.", "The offset is 5."),
        ("Answer in capitals.", "Do not answer in capitals."),
        (LONG, LONG.replace("page index", "page_index")),
        (LONG, LONG.replace("an empty", "a full")),
        (LONG, LONG.replace("API", "SDK")),
        (LONG, LONG + " Call it at /v1/items."),
        (LONG + " Call it at /v1/items.", LONG + " Call it at /v1/users."),
        (LONG + " Use 'total' as the key.", LONG + " Use 'sum' as the key."),
        (LONG + " Use `total` as the key.", LONG + " Use `totals` as the key."),
        (LONG + " This holds for Venmo.", LONG + " This holds for Spotify."),
        (LONG + " It takes 3 calls.", LONG + " It takes 4 calls."),
        (LONG, LONG.replace("only then", "never")),
        (LONG, LONG.replace("items", "kujant")),
    ],
)
def test_another_number_code_name_or_word_is_another_rule(held: str, added: str) -> None:
    assert not dropped(held, added)
    assert not dropped(added, held) or set(held.split()) > set(added.split())


@pytest.mark.parametrize(
    ("held", "added"),
    [
        ("kujant -> KQT", "brev -> KQT"),
        (LONG, LONG.replace("API", "SDK")),
        (LONG + " This holds for Venmo.", LONG + " This holds for Spotify."),
        (LONG, LONG.replace("until", "unless")),
    ],
)
def test_a_semantic_embedder_is_not_trusted_with_names_either(held: str, added: str) -> None:
    assert not dropped(held, added, Everything())


def test_a_semantic_embedder_may_call_a_paraphrase_a_duplicate() -> None:
    one = "When items come back in pages, keep going through the pages up to an empty page, and sum the results up."
    other = "Where results arrive page by page, go on as long as there are pages, and add everything together then."
    assert not dropped(one, other)
    assert dropped(one, other, Everything())


def test_the_reason_names_the_bullet_or_the_earlier_add() -> None:
    delta = Delta((Add("str", "one two"), Add("str", "three four"), Add("str", "Three four.")))
    found = dedup_delta(grown("One, two"), delta, EMBEDDER, 0.92)
    assert [skipped.reason for skipped in found.dropped] == [
        "duplicate of str-00001",
        "duplicate of another ADD of this batch ('three four')",
    ]
    assert found.delta == Delta((Add("str", "three four"),))


def test_other_operations_pass_and_without_adds_nothing_is_embedded() -> None:
    delta = Delta((Update("str-00001", "One, two"), Remove("str-00009"), Tag("str-00001", "used")))
    embedder = Everything()
    assert dedup_delta(grown("one two"), delta, embedder, 0.92).delta is delta
    assert embedder.calls == []


def test_the_new_wording_of_a_bullet_that_the_delta_removes_gets_in() -> None:
    held = grown("one two", "x y")
    for gone in (Remove("str-00001"), Update("str-00001", "other"), Merge(("str-00001", "str-00002"), "other")):
        assert not dedup_delta(held, Delta((gone, Add("str", "One two."))), EMBEDDER, 0.92).dropped
    assert dedup_delta(held, Delta((Update("str-00002", "c d"), Add("str", "C d."))), EMBEDDER, 0.92).dropped


def test_each_text_is_embedded_once_and_only_where_it_has_a_rival() -> None:
    embedder = Everything()
    delta = Delta((Add("str", "One two"), Add("str", "one, two"), Add("str", "nothing like it")))
    dedup_delta(grown("one two", "three four"), delta, embedder, 0.92)
    assert embedder.calls == [["one two", "One two", "one, two"]]


@pytest.mark.slow
def test_ten_thousand_bullets_take_no_time() -> None:
    held = grown(*(f"{LONG} It is called {'abcdefghij'[n % 10] * 3}{n}." for n in range(10_000)))
    delta = Delta(tuple(Add("str", f"{LONG} It is called aaa{n}.") for n in range(50)))
    assert len(dedup_delta(held, delta, EMBEDDER, 0.92).dropped) == 5


def test_vectors_are_of_length_one_stable_and_alike_for_alike_texts() -> None:
    vectors = EMBEDDER.embed([LONG, LONG.upper(), "", "→", "\ud800"])
    assert vectors.dtype == np.float32 and vectors.shape == (5, 1024)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 0, 0, 0], abs=1e-5)
    assert float(vectors[0] @ vectors[1]) == pytest.approx(1)
    assert float(EMBEDDER.embed(["kujant -> KQT"])[0].argmax()) == float(
        NgramEmbedder().embed(["kujant KQT"])[0].argmax()
    )
    assert EMBEDDER.embed([]).shape == (0, 1024)


@given(st.lists(contents, max_size=6), st.lists(contents, max_size=6))
def test_dedup_drops_adds_only_and_its_result_is_a_fixed_point(held: list[str], added: list[str]) -> None:
    playbook = apply(Playbook.empty(), Delta(tuple(Add("str", text) for text in held))).playbook
    delta = Delta(tuple(Add("str", text) for text in added))
    found = dedup_delta(playbook, delta, EMBEDDER, 0.92)
    assert sorted(map(repr, (*found.delta.operations, *(s.operation for s in found.dropped)))) == sorted(
        map(repr, delta.operations)
    )
    assert dedup_delta(playbook, found.delta, EMBEDDER, 0.92).delta == found.delta
