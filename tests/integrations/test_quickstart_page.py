"""The last section of the quickstart page: a playbook of a CSV file in a program of DSPy, saved and loaded."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from scripted_desk import answer

import ace

pytestmark = pytest.mark.filterwarnings("default")  # what the package warns of is its own

dspy = pytest.importorskip("dspy")

from dspy_program import DeskEngine  # noqa: E402 - it needs the package

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "quickstart.md").read_text(encoding="utf-8")


def test_from_the_pages_csv_to_a_program_that_knows_the_desks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (table,) = re.findall(r"```csv\n(.*?)```", PAGE, re.DOTALL)
    Path("tickets.csv").write_text(table, encoding="utf-8")
    adapt, use = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {"ace": ace, "answer": answer, "engine": DeskEngine()}
    exec(adapt.replace('"Qwen/Qwen2.5-1.5B-Instruct"', "ace.ScriptedBackend(answer)"), names)
    exec(use.replace('dspy.LM("openai/gpt-5-mini")', 'dspy.LM("ace/desk", engine=engine, cache=False)'), names)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "0% -> 100%"
    assert printed[-1] == "Q17"
    plain = dspy.Predict("ticket -> desk")
    assert plain(ticket="My parcel was left in the rain.").desk == "unknown"
    plain.load("program.json")
    assert plain(ticket="My parcel was left in the rain.").desk == "Q17"
