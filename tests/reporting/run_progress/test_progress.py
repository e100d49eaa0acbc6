"""Progress adds up what happens and says it, on a terminal and off it."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Sequence
from itertools import count

import pytest
from rich.console import Console

from ace.engine.events import (
    BatchCommitted,
    BatchStarted,
    CallClosed,
    CallFinished,
    CallOpened,
    CurationFailed,
    EngineReady,
    EngineStartDeferred,
    EvaluationFinished,
    EvaluationProgress,
    EvaluationStarted,
    Event,
    RunFinished,
    RunPaused,
    RunStarted,
    SampleFinished,
)
from ace.reporting.run_progress.event_totals import Tally
from ace.reporting.run_progress.live_view import LiveView, sparkline
from ace.reporting.run_progress.progress import PlainView, progress_view
from ace.types import Usage

STORY: list[Event] = [
    EngineStartDeferred("vllm", "micro-target"),
    EngineReady("vllm", "micro-target", "cpu", 2.5, "no GPU", 3 << 29),
    RunStarted("r-1", "offline", 4, 2),
    EvaluationStarted("before", "test", 2, 0),
    EvaluationProgress("before", 1, 2, 0),
    EvaluationProgress("before", 2, 2, 1),
    EvaluationFinished("before", "test", 2, 1, 0, 0.5, 0),
    BatchStarted(0, 0, 2, 0),
    CallFinished("generator", Usage(prompt_tokens=100, cached_tokens=75, completion_tokens=30), True),
    SampleFinished(0, "a", True, True, 0),
    SampleFinished(0, "b", None, None, 0),
    CurationFailed(0, 0, "no \x1b[31mJSON"),
    BatchCommitted(
        0, 0, 1, 1, 1, 3, 1, 3, {"TAG": 3, "ADD": 1}, texts=("kujant \x1b[31m -> KQT",), insight="look it up"
    ),
]


def _clock(step: float = 1.0) -> Tally:
    ticks = count()
    return Tally(lambda: next(ticks) * step)


def test_the_tally_adds_up() -> None:
    tally = _clock()
    for event in STORY:
        tally.add(event)
    assert (tally.batches_done, tally.batches, tally.samples_done) == (1, 2, 2)
    assert tally.accuracy == 0.5
    assert tally.cache_hit_rate == 0.75
    assert tally.completion_tokens == 30
    assert tally.seconds_left is not None and tally.seconds_left > 0


def test_before_anything_happened_nothing_is_known() -> None:
    tally = Tally()
    assert (tally.accuracy, tally.cache_hit_rate, tally.tokens_per_s, tally.seconds_left) == (None, None, None, None)


def test_a_resumed_run_is_not_timed_by_what_it_did_before() -> None:
    now = 0.0
    tally = Tally(lambda: now)
    tally.add(RunStarted("r-1", "offline", 8, 4, resumed_at=2))
    tally.add(BatchStarted(2, 0, 2, 5))
    now = 10.0
    tally.add(BatchCommitted(2, 0, 2, 0, 0, 2, 6, 3, {}))
    assert tally.seconds_left == pytest.approx(10.0)


def test_plain_lines_tell_the_story() -> None:
    out = io.StringIO()
    with PlainView(Console(file=out, width=80)) as view:
        for event in [*STORY, RunFinished("r-1", "done")]:
            view(event)
    deferred, *lines = out.getvalue().splitlines()
    assert deferred.startswith(
        "engine: vllm with micro-target starts with the first call that the completion cache cannot answer"
    )
    assert lines[0] == (
        "engine: vllm with micro-target on cpu, started in 2.5 s, 1.50 GiB of weights and KV cache (no GPU)"
    )
    assert lines[1] == "run r-1: offline, 4 samples in 2 batches"
    assert lines[2] == "before: 50.0% (1/2 of test) with playbook v0"
    assert lines[3].endswith("are lost: no \\x1b[31mJSON")
    told = "batch 1/2 (epoch 1): 1/3 right, 1 after reflection, 1 failed; playbook v1, 3 bullets (1 ADD, 3 TAG);"
    assert lines[4].startswith(told)
    assert lines[5] == "run r-1: done"
    assert "\x1b" not in out.getvalue()


def test_what_was_not_carried_out_is_counted_and_named() -> None:
    out = io.StringIO()
    skipped = {"ADD: str-00001 says the same": 2, "operation left out: id: not an id": 1}
    with PlainView(Console(file=out, width=80)) as view:
        view(BatchCommitted(0, 0, 1, 0, 0, 1, 1, 3, {"ADD": 1}, skipped))
    assert "3 bullets (1 ADD), 3 not carried out: 2 x ADD: str-00001 says the same; 1 x operation" in out.getvalue()


def lines_without_events(events: Sequence[Event], expected: re.Pattern[str]) -> str:
    """What a plain view prints after `events`, while nothing happens any more."""
    out = io.StringIO()
    with PlainView(Console(file=out, width=80), every_s=0.01) as view:
        for event in events:
            view(event)
        deadline = time.monotonic() + 30
        while not expected.search(out.getvalue()) and time.monotonic() < deadline:
            time.sleep(0.01)
    return out.getvalue()


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([], "engine: starting, for "),
        ([EngineReady("vllm", "m", "cpu", 1.0, "")], "between two steps, for "),
        ([EvaluationStarted("before", "test", 64, 0)], "before: 0/64 samples, 0 right so far, for "),
        (
            [
                EvaluationStarted("before", "test", 64, 0),
                CallOpened("generator"),
                CallOpened("generator"),
                CallOpened("generator"),
                CallClosed("generator"),
                EvaluationProgress("before", 1, 64, 1),
            ],
            "before: 1/64 samples, 1 right so far, for .* s; open calls: 2 of the generator",
        ),
        (
            [RunStarted("r-1", "offline", 8, 4), BatchStarted(0, 0, 2, 0), SampleFinished(0, "a", True, True, 0)],
            "batch 1/4: 1/2 samples, for .* s; open calls: none",
        ),
        (
            [
                RunStarted("r-1", "offline", 8, 4),
                BatchStarted(0, 0, 1, 0),
                SampleFinished(0, "a", True, True, 0),
                CallOpened("curator"),
            ],
            "batch 1/4: curation, for .* s; open calls: 1 of the curator",
        ),
        ([RunPaused("r-1")], "paused, for "),
    ],
)
def test_a_silent_engine_does_not_silence_the_plain_view(events: list[Event], expected: str) -> None:
    pattern = re.compile(rf"^{expected}", re.MULTILINE)
    assert pattern.search(lines_without_events(events, pattern))


def test_bars_show_the_story_on_a_terminal() -> None:
    out = io.StringIO()
    console = Console(file=out, width=120, force_terminal=True)
    view = progress_view(console)
    assert isinstance(view, LiveView)
    with view:
        for event in STORY:
            view(event)
    assert "before: 50.0% (1/2 of test) with playbook v0" in out.getvalue()
    assert "adaptation" in out.getvalue()
    assert "\x1b[31mJSON" not in out.getvalue()


def test_without_a_terminal_there_are_lines() -> None:
    assert isinstance(progress_view(Console(file=io.StringIO())), PlainView)


@pytest.mark.parametrize("width", [80, 120])
def test_the_board_below_the_bars_shows_what_was_learned(width: int) -> None:
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=True, no_color=True)
    with LiveView(console) as view:
        for event in STORY:
            view(event)
    for text in ("33.3% right at first", "generator 1", "look it up", "kujant \\x1b[31m -> KQT"):
        assert text in out.getvalue()


def test_a_sparkline_rises_with_the_shares() -> None:
    assert sparkline([0.0, 0.5, 1.0], "_-#") == "_-#"
    assert len(sparkline([0.5] * 100)) == 32


def test_a_quiet_view_shows_problems_alone() -> None:
    out = io.StringIO()
    with progress_view(Console(file=out, width=80), "quiet") as view:
        for event in STORY:
            view(event)
    assert out.getvalue() == "batch 1: the insights of curator group 1 are lost: no \\x1b[31mJSON\n"
