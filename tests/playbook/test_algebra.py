"""What holds of apply, merge, render, the budget and the formats for any playbook and any delta."""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter

import original_release
import pytest
from hypothesis import given
from hypothesis import strategies as st
from playbook_strategies import MICRO, STANDARD, deltas, deltas_for, histories, playbooks

from ace.errors import PlaybookFormatError
from ace.playbook import (
    Delta,
    LineFormats,
    Merge,
    Playbook,
    Remove,
    Tag,
    Update,
    apply,
    dumps,
    enforce_budget,
    loads,
    merge_deltas,
    render,
    resolve_deltas,
)
from ace.playbook.bullet import clean_text
from ace.playbook.render import CONTINUATION, render_line

line_formats = st.sampled_from([LineFormats(), STANDARD, MICRO])
playbooks_and_deltas = playbooks.flatmap(
    lambda playbook: st.tuples(st.just(playbook), st.lists(deltas_for(playbook), min_size=1, max_size=3))
)


def words(text: str) -> int:
    return len(text.split())


@given(playbooks, deltas)
def test_apply_is_total_pure_and_deterministic(playbook: Playbook, delta: Delta) -> None:
    before = playbook.digest
    first, second = apply(playbook, delta), apply(playbook, delta)
    assert first == second
    assert playbook.digest == before
    assert len(first.done) + len(first.skipped) == len(delta)
    assert first.playbook.version == playbook.version + bool(first.done)
    assert all(skipped.reason for skipped in first.skipped)


@given(playbooks_and_deltas)
def test_numbers_are_never_used_twice_and_the_log_only_grows(pair: tuple[Playbook, list[Delta]]) -> None:
    playbook, (delta, *_) = pair
    after = apply(playbook, delta).playbook
    fresh = {bullet.number for bullet in after.bullets} - {bullet.number for bullet in playbook.bullets}
    assert all(number >= playbook.next_number for number in fresh)
    assert after.next_number >= playbook.next_number
    assert after.prefix[: len(playbook.prefix)] == playbook.prefix
    assert after.prefix_is_true


@given(playbooks_and_deltas)
def test_one_delta_after_another_is_their_concatenation(pair: tuple[Playbook, list[Delta]]) -> None:
    playbook, parts = pair
    step = playbook
    for part in parts:
        step = apply(step, part).playbook
    whole = apply(playbook, Delta(tuple(o for part in parts for o in part.operations))).playbook
    assert (step.bullets, step.prefix, step.next_number) == (whole.bullets, whole.prefix, whole.next_number)


@given(histories(), line_formats)
def test_the_prefix_is_extended_except_at_compaction(versions: list[Playbook], formats: LineFormats) -> None:
    for before, after in itertools.pairwise(versions):
        if before.prefix and after != before.compacted():
            assert (render(after, formats) + "\n").startswith(render(before, formats) + "\n")
            assert (render(after, formats) == render(before, formats)) == (after.prefix == before.prefix)


@given(playbooks, line_formats)
def test_compaction_shows_the_live_bullets_and_nothing_else(playbook: Playbook, formats: LineFormats) -> None:
    compact = playbook.compacted()
    assert (compact.bullets, compact.version, compact.dead_lines) == (playbook.bullets, playbook.version, 0)
    assert compact.compacted() == compact and compact.prefix_is_true
    assert render(compact, formats) == render(Playbook.of(playbook.bullets, playbook.sections), formats)


@given(playbooks, line_formats)
def test_no_content_can_forge_a_line(playbook: Playbook, formats: LineFormats) -> None:
    """Whoever reads only lines that are not indented reads the log, entry by entry."""
    text = render(playbook, formats)
    assert text.splitlines() == text.split("\n")
    lines = text.replace(CONTINUATION, "\f").split("\n")
    assert not any(line.startswith((" ", "\f")) for line in lines)
    expected = [render_line(line, formats).replace(CONTINUATION, "\f") for line in playbook.prefix]
    assert lines == (expected or [formats.empty])


@given(playbooks, st.lists(deltas, max_size=4))
def test_merging_is_deterministic_and_idempotent_and_keeps_tags(playbook: Playbook, proposed: list[Delta]) -> None:
    for snapshot in (None, playbook):
        merged = merge_deltas(proposed, snapshot)
        assert merged == merge_deltas(iter(proposed), snapshot)
        assert merge_deltas([merged], snapshot) == merged
        tags = [o for delta in proposed for o in delta.operations if isinstance(o, Tag)]
        assert [o for o in merged.operations if isinstance(o, Tag)] == tags


@given(st.lists(deltas, max_size=4))
def test_every_operation_is_kept_or_dropped_with_a_reason(proposed: list[Delta]) -> None:
    found = resolve_deltas(proposed)
    assert len(found.delta) + len(found.dropped) == sum(len(delta) for delta in proposed)
    assert all(skipped.reason for skipped in found.dropped)


@given(playbooks_and_deltas)
def test_no_two_operations_of_a_merge_claim_one_bullet(pair: tuple[Playbook, list[Delta]]) -> None:
    playbook, proposed = pair
    claims: Counter[str] = Counter()
    for operation in merge_deltas(proposed, playbook).operations:
        if isinstance(operation, Merge):
            claims.update(operation.ids)
        elif isinstance(operation, Update | Remove):
            claims[operation.id] += 1
    assert all(count == 1 for count in claims.values())


@given(deltas)
def test_deltas_survive_json(delta: Delta) -> None:
    assert Delta.from_json(delta.to_json()) == delta


@given(playbooks)
def test_json_keeps_everything(playbook: Playbook) -> None:
    back = loads(dumps(playbook, "json"), "json")
    assert back == playbook and back.digest == playbook.digest


@given(playbooks)
def test_markdown_keeps_all_but_version_and_provenance(playbook: Playbook) -> None:
    back = loads(dumps(playbook, "markdown"), "markdown")
    assert [(b.id, b.content, b.counters) for b in back.bullets] == [
        (b.id, b.content, b.counters) for b in playbook.bullets
    ]
    assert (back.next_number, back.sections) == (playbook.next_number, playbook.sections)


@given(playbooks)
def test_text_keeps_ids_contents_sections_numbers_and_its_two_counters(playbook: Playbook) -> None:
    text = dumps(playbook, "text")
    for read in (text, text.replace("\n", "\r\n")):
        back = loads(read, "text")
        assert [(b.id, b.content, b.counters.helpful, b.counters.harmful) for b in back.bullets] == [
            (b.id, b.content, b.counters.helpful, b.counters.harmful) for b in playbook.bullets
        ]
        assert (back.next_number, back.sections) == (playbook.next_number, playbook.sections)


@given(playbooks)
def test_the_original_release_reads_our_text_as_we_mean_it(playbook: Playbook) -> None:
    text = dumps(playbook, "text")
    assert sorted(original_release.read(text)) == sorted(
        (b.id, b.counters.helpful, b.counters.harmful, b.content.split("\n")[0].strip()) for b in playbook.bullets
    )
    headers = [line.strip() for line in text.split("\n") if line.strip().startswith("##")]
    assert headers == [f"## {section.title}".strip() for section in playbook.sections]


original_lines = st.lists(
    st.tuples(
        st.sampled_from(["shr", "calc", "misc"]),
        st.integers(0, 10**6),
        st.integers(0, 10**6),
        st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=40),
    ),
    max_size=12,
)


@given(original_lines, st.integers(0, 3))
def test_we_read_what_the_original_release_wrote_as_it_does(
    lines: list[tuple[str, int, int, str]], blanks: int
) -> None:
    sections: dict[str, list[str]] = {}
    for number, (slug, helpful, harmful, content) in enumerate(lines, 1):
        line = original_release.write_line(f"{slug}-{number:05d}", helpful, harmful, content)
        sections.setdefault(slug, []).append(line)
    text = "\n".join(line for slug, held in sections.items() for line in [f"## {slug.upper()}", *held, *[""] * blanks])
    ours = [(b.id, b.counters.helpful, b.counters.harmful, b.content) for b in loads(text, "text").bullets]
    theirs = [(found[0], found[1], found[2], clean_text(found[3])) for found in original_release.read(text)]
    assert sorted(ours) == sorted(theirs)


@given(playbooks, st.integers(1, 30), st.sampled_from([0.0, 0.1, 0.5]))
def test_the_budget_is_never_exceeded(playbook: Playbook, limit: int, headroom: float) -> None:
    held = enforce_budget(playbook, words, limit, LineFormats(), headroom=headroom)
    assert words(render(held.playbook, LineFormats())) <= limit
    gone = {operation.id for operation in held.delta.operations if isinstance(operation, Remove)}
    assert [b for b in playbook.bullets if b.id not in gone] == list(held.playbook.bullets)
    assert len(gone) == len(held.delta)
    assert (held.playbook == playbook) or held.compacted
    assert held.playbook.next_number == playbook.next_number


@pytest.mark.parametrize("format", ["text", "markdown", "json"])
@given(text=st.text(alphabet=st.sampled_from(list('#[]-:|` \n{}"str0123456789()')), max_size=60))
def test_reading_anything_gives_a_playbook_or_a_playbook_error(format: str, text: str) -> None:
    with contextlib.suppress(PlaybookFormatError):
        assert isinstance(loads(text, format), Playbook)  # type: ignore[arg-type]


@given(st.text())
def test_cleaning_is_idempotent_and_leaves_one_kind_of_line_break(text: str) -> None:
    clean = clean_text(text)
    assert clean_text(clean) == clean == clean.strip()
    assert clean.splitlines() == (clean.split("\n") if clean else [])
    clean.encode()
