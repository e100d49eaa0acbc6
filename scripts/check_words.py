"""Refuse words in names and docstrings that must not come back: `python scripts/check_words.py [PATH...]`.

A name says what a value is, not what happened to it. A docstring starts with an imperative or a noun phrase.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

FOLDERS = ("src/ace", "benchmarks", "training")
REFUSED = """
    alike aside asked found given hear heard hears held kept known likest made owed said seen shown told turns wanted
"""

NAMES = frozenset(REFUSED.split())
"""Parts of a name in snake_case that a term of the field replaces."""

OPENINGS = ("How ", "Of ", "What ", "Whether ", "Which ", "Whose ")
"""Beginnings of a docstring that is a clause."""


def main() -> int:
    """Print each violation with its place. Return 1 if there are any."""
    folders = [Path(argument) for argument in sys.argv[1:]] or [ROOT / folder for folder in FOLDERS]
    every = (file for folder in folders for file in (folder.rglob("*.py") if folder.is_dir() else [folder]))
    files = sorted(every)
    violations = [f"{file}:{line}: {text}" for file in files for line, text in check(file.read_text(encoding="utf-8"))]
    print("\n".join(violations) or f"{len(files)} files: no refused words")
    return 1 if violations else 0


def check(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and text of each violation in `source`."""
    for node in ast.walk(ast.parse(source)):
        line = getattr(node, "lineno", 1)
        for name in _names_defined_by(node):
            if words := NAMES.intersection(name.strip("_").lower().split("_")):
                yield line, f"name '{name}' has '{min(words)}'"
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node) or ""
            if docstring.startswith(OPENINGS):
                yield line, f"docstring starts with '{docstring.split(None, 1)[0]}'"


def _names_defined_by(node: ast.AST) -> tuple[str, ...]:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return (node.name,)
        case ast.arg():
            return (node.arg,)
        case ast.Name(ctx=ast.Store()):
            return (node.id,)
        case ast.Attribute(ctx=ast.Store()):
            return (node.attr,)
        case _:
            return ()


if __name__ == "__main__":
    sys.exit(main())
