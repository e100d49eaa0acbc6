"""Write the tree of the package, one line a file, to docs/architecture.md: `python scripts/source_tree.py`.

A line is the first sentence of a file's or a package's docstring.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- source tree: begin -->", "<!-- source tree: end -->"


def source_tree() -> str:
    """The tree as a Markdown code block."""
    return "```text\n" + "\n".join(_lines(ROOT / "src" / "ace", 0)) + "\n```"


def updated(text: str) -> str:
    """`text` with the tree between its two marker lines."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{source_tree()}\n{END}{after}"


def _lines(folder: Path, depth: int) -> Iterator[str]:
    yield _line(f"{'  ' * depth}{folder.name}/", _summary(folder / "__init__.py"))
    for path in sorted(folder.glob("*.py")):
        if not path.stem.startswith("__"):
            yield _line(f"{'  ' * (depth + 1)}{path.name}", _summary(path))
    for below in sorted(path for path in folder.iterdir() if (path / "__init__.py").is_file()):
        yield from _lines(below, depth + 1)


def _line(name: str, summary: str) -> str:
    return f"{name:<42}{summary}"


def _summary(path: Path) -> str:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(docstring.split("\n\n")[0].split()).removesuffix(".")


if __name__ == "__main__":
    TARGET.write_text(updated(TARGET.read_text(encoding="utf-8")), encoding="utf-8")
