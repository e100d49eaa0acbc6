"""The quickstart page as it stands: its commands in their order, with scripted models in the place of real ones."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from scripted_desk import answer
from typer.testing import CliRunner, Result

from ace.cli.main import app
from ace.inference import Backend, ScriptedBackend
from ace.store import RunStore
from ace.tasks.micro.scripted_model import ScriptedMicroModel

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "quickstart.md").read_text(encoding="utf-8")
STORE = "sqlite:///runs/ace.db"


def commands(section: str) -> list[list[str]]:
    """The arguments of `ace` in each command of the section."""
    text = PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    shown = "".join(re.findall(r"```console\n(.*?)```", text, re.DOTALL))
    return [shlex.split(line, comments=True) for line in re.findall(r"^\$ ace (.*)$", shown, re.MULTILINE)]


def invoke(arguments: list[str], model: Backend) -> Result:
    result = CliRunner().invoke(app, arguments, obj={"main": model})
    assert result.exit_code == 0, (arguments, result.output)
    return result


def write_block(language: str, name: str) -> None:
    (text,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    Path(name).write_text(text, encoding="utf-8")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_from_the_first_command_to_two_runs_compared_in_the_browser() -> None:
    testclient = pytest.importorskip("fastapi.testclient")
    from ace.dashboard import create_app

    model = ScriptedBackend(ScriptedMicroModel())
    invoke(["quickstart"], model)
    second, show_runs, compare, _ = commands("Two runs, compared")
    assert "accuracy 0.0% -> 0.0%" in invoke(second, model).stdout
    with RunStore.open(STORE, create=False) as store:
        runs = {"RUN_A": store.list_runs()[1].id, "RUN_B": store.list_runs()[0].id}
    listed = invoke(show_runs, model).stdout
    assert all(run in listed for run in runs.values())
    compared = invoke([runs.get(argument, argument) for argument in compare], model).stdout
    assert "share of right answers of 64 samples" in compared
    with testclient.TestClient(create_app(STORE), base_url="http://127.0.0.1") as client:
        assert all(f'value="{run}"' in client.get("/").text for run in runs.values())
        page = client.get("/compare", params={"run": list(runs.values())}).text
    assert f"against <code>{runs['RUN_A']}</code>, on the same 64 samples" in page and runs["RUN_B"] in page


def test_from_a_csv_to_a_playbook() -> None:
    write_block("csv", "tickets.csv")
    write_block("yaml", "tickets.yaml")
    model = ScriptedBackend(answer)
    outputs = [invoke(arguments, model).stdout for arguments in commands("Your own questions")]
    assert "the curator sees" in outputs[0]
    assert "accuracy 0.0% -> 100.0%" in outputs[1]
    assert "Tickets about parcel go to Q17." in outputs[2]
    bullets = json.loads(Path("tickets.json").read_text(encoding="utf-8"))["bullets"]
    assert len(bullets) == 3
