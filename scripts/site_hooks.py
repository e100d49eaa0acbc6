"""Hooks of mkdocs: pages from files outside docs/, links to them, and pictures of Mermaid diagrams.

The pages in docs/ link to other files of the repository by relative paths, so that they work in a checkout, too. On the
site, Markdown files that have a page there are linked to it, other files are copied beside it, and folders are named.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from render_diagrams import diagram_path, find_diagrams

ROOT = Path(__file__).resolve().parents[1]
RESULTS = "benchmarks/results"
PAGES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "reporting-vulnerabilities.md",
    **{f"{RESULTS}/{path.name}": f"results/{path.name}" for path in sorted((ROOT / RESULTS).glob("*.md"))},
    RESULTS: "results/index.md",
}
"""Paths in the repository and their pages; a folder has one, too."""
SOURCES = {page: path for path, page in PAGES.items()} | {PAGES[RESULTS]: f"{RESULTS}/index.md"}

_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)#\s]*)(#[^)\s]*)?\)")
_LOADED = re.compile(
    r"""<(?:script|img|iframe|source|link(?![^>]*rel="?canonical))\b[^>]*?(?:src|href)="?((?:https?:)?//[^"\s>]+)"""
    r"""|<[^>]*class="?(mermaid)\b"""
)
_CODE = re.compile(r"(```.*?```|`[^`\n]+`)", re.DOTALL)


def on_files(files: Files, *, config: Any) -> Files:
    """Add the pages from outside docs/, and the files that pages link to."""
    for path, page in PAGES.items():
        text = _index() if path == RESULTS else (ROOT / path).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=text))
    for source, text in _texts(files):
        for _, _, target, _ in _LINK.findall(_without_code(text)):
            path = _resolve(source, target)
            if path is not None and path not in PAGES and not path.startswith("docs/") and (ROOT / path).is_file():
                name = f"files/{path}"
                if files.get_file_from_path(name) is None:
                    files.append(File.generated(config, name, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Files) -> str:
    """Let the links of a page lead to where the site has what they name."""
    here = PurePosixPath(page.file.src_uri)
    source = SOURCES.get(str(here), f"docs/{here}")

    def link(match: re.Match[str]) -> str:
        bang, text, target, anchor = match[1], match[2], match[3], match[4] or ""
        path = _resolve(source, target)
        if path is None:
            return match[0]
        if path in PAGES:
            name = PAGES[path]
        elif path.startswith("docs/"):
            name = path.removeprefix("docs/")
        elif (ROOT / path).is_file():
            name = f"files/{path}"
        else:
            return text if text.startswith("`") else f"`{path}`"
        relative = os.path.relpath(name, here.parent)
        return f"{bang}[{text}]({relative}{anchor})"

    for diagram in find_diagrams(markdown):
        picture = diagram_path(diagram).read_text(encoding="utf-8").strip()
        markdown = markdown.replace(f"```mermaid\n{diagram}```", f'<div class="diagram" tabindex="0">{picture}</div>')
    parts = re.split(r"(```.*?```|<svg.*?</svg>)", markdown, flags=re.DOTALL)
    return "".join(part if number % 2 else _LINK.sub(link, part) for number, part in enumerate(parts))


def on_post_page(output: str, *, page: Any, config: Any) -> str:
    """Fail where a page would load something from elsewhere."""
    if (external := _LOADED.search(output)) is not None:
        raise PluginError(f"{page.file.src_uri} loads {external[1] or 'Mermaid from its CDN'}")
    return output


def _texts(files: Files) -> list[tuple[str, str]]:
    """The repository path and the text of each page."""
    pages = [(f"docs/{file.src_uri}", file.content_string) for file in files.documentation_pages()]
    return [(SOURCES.get(path.removeprefix("docs/"), path), text) for path, text in pages]


def _resolve(source: str, target: str) -> str | None:
    """The path in the repository that a link in `source` names; None for an address, or a link within the page."""
    if not target or "://" in target or target.startswith(("mailto:", "/")):
        return None
    path = os.path.normpath(os.path.join(os.path.dirname(source), target))  # noqa: PTH118, PTH120 - no files
    return None if path.startswith("..") else path


def _without_code(text: str) -> str:
    return _CODE.sub("", text)


def _index() -> str:
    names = [path.removeprefix(f"{RESULTS}/") for path in PAGES if path.startswith(f"{RESULTS}/")]
    lines = "\n".join(f"- [{name.removesuffix('.md')}]({name})" for name in sorted(names, reverse=True))
    return f"# Results\n\nEvery table that was kept, bad ones included, with date, machine and command.\n\n{lines}\n"
