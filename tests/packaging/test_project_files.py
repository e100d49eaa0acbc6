"""The files around the code agree with each other: versions, Pythons, and the targets that workflows call."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "configs").rglob("*.md")])


def test_every_file_has_the_same_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == PROJECT["version"]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## (\S+)", changelog, re.MULTILINE)[1] == PROJECT["version"]  # type: ignore[index]


def test_ci_runs_every_python_that_is_promised() -> None:
    promised = {name.rpartition(" ")[2] for name in PROJECT["classifiers"] if ":: Python :: 3." in name}
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))["jobs"]
    for name in ("test", "wheel"):
        assert set(jobs[name]["strategy"]["matrix"]["python"]) == promised


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda file: file.stem)
def test_workflows_call_targets_and_examples_that_exist(workflow: Path) -> None:
    text = workflow.read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z-]+)", text)) <= targets
    for names in re.findall(r"for name in ([\w ]+);", text):
        assert all((ROOT / "examples" / f"{name}.py").is_file() for name in names.split())


def test_links_lead_to_files_and_headings() -> None:
    links = [
        (page, link) for page in PAGES for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text("utf-8"))
    ]
    assert len(links) > 100
    assert [f"{page.name}: {target}" for page, target in links if not _leads_somewhere(page, target)] == []


def _leads_somewhere(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (page.parent / path) if path else page
    return target.exists() and (not anchor or anchor in _anchors(target))


def _anchors(page: Path) -> set[str]:
    """The headings of a page as a forge names them, and the anchors that it sets itself."""
    text = page.read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    anchors = set(re.findall(r'<a name="([^"]+)">', text))
    return anchors | {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}
