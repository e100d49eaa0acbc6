"""Traces: saved and read again, and played in the order that their calls depend on each other."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from micro_runs import all_roles, micro_backend, settings

from ace.bench.adaptation_runs.call_trace import TracedCall, play, read_trace, save_trace, stored_calls
from ace.bench.adaptation_runs.micro_prompts import generator_prompts, reflector_calls
from ace.engine import run
from ace.errors import ConfigError, DataError
from ace.store import RunStore
from ace.types import Completion, Message, Request, RoleName, Sampling, Usage


def call(batch: int, chain: str | None, text: str, role: RoleName = "generator") -> TracedCall:
    return TracedCall("full", batch, chain, role, "main", (Message("user", text),), 3)


CALLS = [
    call(0, "a", "a1"),
    call(0, "a", "a2", "reflector"),
    call(0, "b", "b1"),
    call(0, None, "c", "curator"),
    call(1, "a", "a3"),
]


def test_a_trace_is_read_as_it_was_saved(tmp_path: Path) -> None:
    save_trace(tmp_path / "trace.jsonl", CALLS)
    assert read_trace(tmp_path / "trace.jsonl") == CALLS


def test_a_stored_run_is_a_trace_of_its_batches_alone(tmp_path: Path) -> None:
    asked = settings(tmp_path, adaptation__epochs=1)
    summary = asyncio.run(run(asked, backends=all_roles(micro_backend())))
    with RunStore.open(asked.store, create=False) as store:
        calls = stored_calls(store, summary.run)
        records = [one for batch in store.batches(summary.run) for one in store.calls(summary.run, batch=batch.index)]
        prompts = [store.prompt(record.digest) for record in records]
    assert {one.batch for one in calls} == {0, 1, 2}
    assert [one.messages for one in calls] == prompts
    assert [(one.role, one.chain, one.tier) for one in calls] == [(r.role, r.sample_id, "main") for r in records]
    assert all(one.chain is None for one in calls if one.role == "curator")


def test_a_run_without_a_batch_cannot_be_replayed(tmp_path: Path) -> None:
    asked = settings(tmp_path, adaptation__method="empty")
    summary = asyncio.run(run(asked, backends=all_roles(micro_backend())))
    with RunStore.open(asked.store, create=False) as store, pytest.raises(DataError, match="no finished batch"):
        stored_calls(store, summary.run)


@pytest.mark.parametrize("change", [{"role": "judge"}, {"tokens": 0}, {"tier": "huge"}, {"batch": "x"}, {"more": 1}])
def test_a_line_that_is_no_call_is_named(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "trace.jsonl"
    save_trace(path, CALLS[:2])
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], json.dumps({**json.loads(lines[1]), **change})]))
    with pytest.raises(DataError, match=r"trace\.jsonl:2"):
        read_trace(path)


def test_calls_wait_for_those_that_they_depend_on_and_for_no_others() -> None:
    events: list[str] = []

    async def ask(asked: TracedCall) -> Completion:
        name = asked.messages[0].content
        events.append(f"+{name}")
        await asyncio.sleep(0)
        events.append(f"-{name}")
        return Completion("", "length", Usage(completion_tokens=asked.tokens), "m")

    assert asyncio.run(play(CALLS, ask)).completion_tokens == 15
    assert events[:2] == ["+a1", "+b1"]
    for before, after in (("-a1", "+a2"), ("-a2", "+c"), ("-b1", "+c"), ("-c", "+a3")):
        assert events.index(before) < events.index(after)


def test_a_fixed_length_is_part_of_the_digest_and_takes_no_schema() -> None:
    messages = (Message("user", "x"),)
    free, fixed = Sampling(max_tokens=5), Sampling(max_tokens=5, ignore_eos=True)
    assert Request(messages, free).digest != Request(messages, fixed).digest
    with pytest.raises(ConfigError, match="ignore_eos"):
        Request(messages, fixed, {"type": "object"})


def test_prompts_of_one_world_share_their_prefix_and_those_of_several_do_not() -> None:
    shared, own = generator_prompts(3, 0), generator_prompts(3, 0, worlds=3)
    assert len({prompt[0] for prompt in shared}) == 1 and len(set(shared)) == 3
    assert len({prompt[0] for prompt in own}) == 3
    calls = reflector_calls(2, 0, rounds=3, tokens=7)
    assert [(one.chain, one.tokens) for one in calls] == [("0", 7)] * 3 + [("1", 7)] * 3
    assert len({one.messages for one in calls}) == 6
