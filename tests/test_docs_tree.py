"""The tree in docs/architecture.md is the package's, and the folders stay small."""

from __future__ import annotations

import importlib.util
import re
from collections import Counter
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "ace"


def load_script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


def test_the_tree_in_the_docs_is_the_current_one() -> None:
    script = load_script("source_tree")
    text = script.TARGET.read_text(encoding="utf-8")
    assert script.updated(text) == text, "write it anew with: make docs"


def test_every_diagram_of_the_docs_is_rendered() -> None:
    script = load_script("render_diagrams")
    texts = [page.read_text(encoding="utf-8") for page in (ROOT / "docs").glob("*.md")]
    paths = [script.diagram_path(diagram) for text in texts for diagram in script.find_diagrams(text)]
    assert len(paths) == sum(text.count("```mermaid") for text in texts) > 0
    assert sorted(paths) == sorted(script.DIAGRAMS.iterdir()), "render them anew: scripts/render_diagrams.py"
    assert all("http" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", path.read_text(encoding="utf-8")) for path in paths)


def test_no_folder_holds_more_than_14_files_and_no_file_more_than_400_lines() -> None:
    roots = (PACKAGE, *(ROOT / name for name in ("benchmarks", "training", "tests", "examples", "scripts")))
    files = [path for root in roots for path in root.rglob("*.py")]
    folders = Counter(path.parent for path in files)
    assert [(str(folder), count) for folder, count in folders.items() if count > 14] == []
    assert [str(path) for path in files if len(path.read_text(encoding="utf-8").splitlines()) > 400] == []


def test_no_two_files_have_one_name() -> None:
    folders = (PACKAGE, *(ROOT / name for name in ("benchmarks", "training", "examples", "scripts")))
    names = Counter(path.name for folder in folders for path in folder.rglob("*.py"))
    assert [name for name, count in names.items() if count > 1 and not name.startswith("__")] == []


def test_the_tests_that_the_docs_name_are_there() -> None:
    pages = [*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md")]
    named = {path for page in pages for path in re.findall(r"`(tests/[\w./-]+)", page.read_text(encoding="utf-8"))}
    assert named
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []
