"""What the README shows works: its Python runs, and so does its task."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ace_command import invoke

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ADAPT, *BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.engine
@pytest.mark.parametrize("code", BLOCKS, ids=[f"block-{number}" for number in range(len(BLOCKS))])
def test_the_python_of_the_readme_runs(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {"__name__": "readme"})
    assert capsys.readouterr().out.strip()


def test_the_readme_shows_python() -> None:
    assert len(BLOCKS) == 2


def test_the_csv_and_its_config(tmp_path: Path) -> None:
    for language, name in (("csv", "tickets.csv"), ("yaml", "tickets.yaml")):
        (text,) = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
        (tmp_path / name).write_text(text, encoding="utf-8")
    result = invoke("task", "check", tmp_path / "tickets.yaml")
    assert result.exit_code == 0, result.output
    assert "train 4" in result.output
