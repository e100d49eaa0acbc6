"""What holds of apply, merge, render and the formats for any playbook and any delta."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from strategies import deltas, playbooks

from ace.playbook import (
    Delta,
    LineFormats,
    Playbook,
    Tag,
    apply,
    dumps,
    enforce_budget,
    loads,
    merge_deltas,
    render,
)
from ace.playbook.render import CONTINUATION

FORMATS = LineFormats()


@given(playbooks, deltas)
def test_apply_is_total_deterministic_and_accounts_for_every_operation(playbook: Playbook, delta: Delta) -> None:
    before = playbook.to_json()
    applied = apply(playbook, delta)
    assert playbook.to_json() == before
    assert apply(playbook, delta) == applied
    assert len(applied.done) + len(applied.skipped) == len(delta)
    assert applied.playbook.version == playbook.version + bool(applied.done)
    assert all(skipped.reason for skipped in applied.skipped)


@given(playbooks, deltas)
def test_no_id_is_ever_used_again(playbook: Playbook, delta: Delta) -> None:
    after = apply(playbook, delta).playbook
    new = [bullet.number for bullet in after.bullets if bullet.id not in playbook.by_id]
    assert all(number >= playbook.next_number for number in new)
    assert len({bullet.number for bullet in after.bullets}) == len(after)


@given(playbooks, deltas)
def test_the_next_prefix_extends_the_last_one_until_compaction(playbook: Playbook, delta: Delta) -> None:
    after = apply(playbook, delta).playbook
    if playbook.prefix:
        assert (render(after, FORMATS) + "\n").startswith(render(playbook, FORMATS) + "\n")
    compact = after.compacted()
    assert compact.bullets == after.bullets
    assert compact.dead_lines == 0
    assert render(compact, FORMATS) == render(Playbook.of(after.bullets, after.sections), FORMATS)


@given(playbooks)
def test_no_content_can_forge_a_line(playbook: Playbook) -> None:
    lines = render(playbook, FORMATS).replace(CONTINUATION, " ").split("\n")
    assert len(lines) == max(1, len(playbook.prefix))
    for line, entry in zip(lines, playbook.prefix, strict=False):
        assert line.startswith(f"[{entry.id}]")


@given(st.lists(deltas, max_size=4))
def test_merging_is_deterministic_and_idempotent_and_keeps_tags(proposed: list[Delta]) -> None:
    merged = merge_deltas(proposed)
    assert merge_deltas([merged]) == merged
    tags = [o for delta in proposed for o in delta.operations if isinstance(o, Tag)]
    assert [o for o in merged.operations if isinstance(o, Tag)] == tags


@given(deltas)
def test_deltas_survive_json(delta: Delta) -> None:
    assert Delta.from_json(delta.to_json()) == delta


@given(playbooks)
def test_json_keeps_everything(playbook: Playbook) -> None:
    assert loads(dumps(playbook, "json"), "json") == playbook


@given(playbooks)
def test_markdown_keeps_bullets_counters_and_the_next_number(playbook: Playbook) -> None:
    back = loads(dumps(playbook, "markdown"), "markdown")
    assert [(b.id, b.content, b.counters) for b in back.bullets] == [
        (b.id, b.content, b.counters) for b in playbook.bullets
    ]
    assert back.next_number == playbook.next_number


@given(playbooks)
def test_the_original_text_format_keeps_bullets_and_its_two_counters(playbook: Playbook) -> None:
    back = loads(dumps(playbook, "text"), "text")
    assert [(b.id, b.content, b.counters.helpful, b.counters.harmful) for b in back.bullets] == [
        (b.id, _without_cr(b.content), b.counters.helpful, b.counters.harmful) for b in playbook.bullets
    ]


def _without_cr(content: str) -> str:
    return "\n".join(line.removesuffix("\r") for line in content.split("\n"))


@given(playbooks, st.integers(1, 30))
def test_the_budget_is_never_exceeded(playbook: Playbook, limit: int) -> None:
    held = enforce_budget(playbook, lambda text: len(text.split()), limit, FORMATS)
    assert len(render(held.playbook, FORMATS).split()) <= limit
    kept = set(held.playbook.by_id)
    assert kept <= set(playbook.by_id)
    assert len(kept) + len(held.delta) == len(playbook)
