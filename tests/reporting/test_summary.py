"""The table of a run's calls and tokens, with and without speculative decoding."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from ace.reporting.summary_tables import usage_table


def shown(usage: dict[str, tuple[int, dict[str, Any]]]) -> str:
    console = Console(file=io.StringIO(), width=160)
    with console.capture() as capture:
        console.print(usage_table(usage))
    return capture.get()


def test_drafts_are_shown_by_role_where_something_was_drafted() -> None:
    old = {"prompt": 100, "cached": 90, "completion": 20}  # the summaries of older stores have no more
    speculated = {**old, "drafted": 40, "accepted": 30, "draft_steps": 10}
    assert "drafts" not in shown({"generator": (2, old), "reflector": (0, {})})
    lines = shown({"generator": (2, speculated), "reflector": (1, old), "curator": (0, {})}).splitlines()
    assert [line.split()[-2:] for line in lines[1:]] == [["75.0%", "4.00"], ["-", "-"], ["-", "-"], ["75.0%", "4.00"]]
    assert lines[0].rstrip().endswith("tokens a draft")
