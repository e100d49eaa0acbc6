"""Templates and assets of HTML pages: every text is escaped, every asset is read from the package."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from ace.reporting.text import by_type, count, moment, p_text, percent, seconds, visible_lines


@cache
def page_environment(*packages: str) -> Any:
    """A Jinja2 environment with the templates of `packages`, then those of the report. Undefined names are errors."""
    import jinja2
    from markupsafe import Markup

    loaders = [jinja2.PackageLoader(package) for package in (*packages, "ace.reporting.pages")]
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(loaders),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": percent,
        "seconds": seconds,
        "count": count,
        "by_type": by_type,
        "p_text": p_text,
        "moment": moment,
        "safe_text": visible_lines,
        "points": lambda share: f"{share * 100:+.1f}",
        # JSON inside a script element: no text of the data can end the element
        "in_script": lambda text: Markup(text.replace("<", "\\u003c")),
        "asset": lambda text: Markup(text.replace("</", "<\\/")),
    }
    return environment


def read_asset(name: str) -> str:
    """The text of a style sheet or a script of the pages."""
    return (files("ace.reporting.pages") / "assets" / name).read_text(encoding="utf-8")
