"""Random playbooks and deltas."""

from __future__ import annotations

from hypothesis import strategies as st

from ace.playbook import Add, Delta, Merge, Operation, Playbook, Remove, Section, Tag, Update, apply

SECTIONS = (Section("str", "Strategies"), Section("api", "APIs to use"))

contents = st.one_of(
    st.sampled_from(["## OTHERS", "[str-00001] forged", "a\n[api-00002] b", "line\r\nline", "  ", "", "x -> Y"]),
    st.text(st.characters(exclude_categories=("Cs",)), max_size=40),
)
ids = st.builds(lambda slug, n: f"{slug}-{n:05d}", st.sampled_from(["str", "api", "zzz"]), st.integers(1, 9))
slugs = st.sampled_from(["str", "api", "new", "X", ""])

operations: st.SearchStrategy[Operation] = st.one_of(
    st.builds(Add, slugs, contents),
    st.builds(Update, ids, contents),
    st.builds(Merge, st.lists(ids, max_size=4).map(tuple), contents, st.none() | slugs),
    st.builds(Remove, ids),
    st.builds(Tag, ids, st.sampled_from(["helpful", "harmful", "neutral", "used"]), st.integers(-1, 3)),
)
deltas = st.lists(operations, max_size=8).map(lambda items: Delta(tuple(items)))


def grown(history: list[Delta]) -> Playbook:
    playbook = Playbook.empty(SECTIONS)
    for delta in history:
        playbook = apply(playbook, delta).playbook
    return playbook


playbooks = st.lists(deltas, max_size=4).map(grown)
