"""Render the Mermaid diagrams of the docs as SVG: `python scripts/render_diagrams.py MERMAID_JS`.

The site shows these files and loads no script. MERMAID_JS is `dist/mermaid.min.js` of the npm package `mermaid`
(`npm pack mermaid@11`). Needs Playwright and Chromium (`make test-browser` sets them up). A diagram's file is named
after the hash of its text; files that no diagram has any more are removed.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1] / "docs"
DIAGRAMS = DOCS / "assets" / "diagrams"
# The site's own colours, which follow its light and dark palettes.
STYLE = """
text, tspan { fill: var(--md-default-fg-color) !important; }
.node rect, .node path, .node polygon, .node circle {
  fill: var(--md-accent-fg-color--transparent) !important; stroke: var(--md-accent-fg-color) !important;
}
.cluster rect { fill: none !important; stroke: var(--md-default-fg-color--light) !important; }
.flowchart-link { stroke: var(--md-default-fg-color--light) !important; }
marker path { fill: var(--md-default-fg-color--light) !important; stroke: none !important; }
"""


def find_diagrams(text: str) -> list[str]:
    """The Mermaid diagrams in a page."""
    return re.findall(r"^```mermaid\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def diagram_path(diagram: str) -> Path:
    """The file that holds the rendered diagram."""
    return DIAGRAMS / f"{hashlib.sha256(diagram.encode()).hexdigest()[:16]}.svg"


def main(script: str) -> None:
    from playwright.sync_api import sync_playwright

    diagrams = [each for page in sorted(DOCS.glob("*.md")) for each in find_diagrams(page.read_text(encoding="utf-8"))]
    DIAGRAMS.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page()
        page.set_content("<body></body>")
        page.add_script_tag(path=script)
        options = {
            "startOnLoad": False,
            "htmlLabels": False,
            "flowchart": {"htmlLabels": False},
            "fontFamily": "sans-serif",
            "themeCSS": STYLE,
        }
        page.evaluate("options => mermaid.initialize(options)", options)
        for diagram in diagrams:
            path = diagram_path(diagram)
            arguments = [f"diagram-{path.stem}", diagram]
            svg = page.evaluate("([id, text]) => mermaid.render(id, text).then(result => result.svg)", arguments)
            path.write_text(svg.strip() + "\n", encoding="utf-8")
        browser.close()
    for path in set(DIAGRAMS.glob("*.svg")) - {diagram_path(diagram) for diagram in diagrams}:
        path.unlink()


if __name__ == "__main__":
    main(*sys.argv[1:])
