"""Tables of a run's summary."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import pytest
from micro_runs import all_roles, micro_backend, settings
from rich.console import Console

from ace.engine import RoleTokens, RunSummary, run
from ace.reporting.summary_tables import usage_table


def rendered(usage: dict[str, tuple[int, RoleTokens]]) -> str:
    console = Console(file=io.StringIO(), width=160)
    with console.capture() as capture:
        console.print(usage_table(usage))
    return capture.get()


def test_drafts_are_shown_by_role_where_something_was_drafted() -> None:
    plain, none = RoleTokens(100, 90, 20), RoleTokens()
    speculated = RoleTokens(100, 90, 20, drafted=40, accepted=30, draft_steps=10)
    assert "drafts" not in rendered({"generator": (2, plain), "reflector": (0, none)})
    lines = rendered({"generator": (2, speculated), "reflector": (1, plain), "curator": (0, none)}).splitlines()
    assert [line.split()[-2:] for line in lines[1:]] == [["75.0%", "4.00"], ["-", "-"], ["-", "-"], ["75.0%", "4.00"]]
    assert lines[0].rstrip().endswith("tokens a draft")


def test_a_summary_survives_json(tmp_path: Path) -> None:
    summary = asyncio.run(run(settings(tmp_path), backends=all_roles(micro_backend())))
    assert RunSummary.from_json(summary.to_json()) == summary
    with pytest.raises(ValueError, match="accuracy_after"):
        RunSummary.from_json({key: value for key, value in summary.to_json().items() if key != "accuracy_after"})
