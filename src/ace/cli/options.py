"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

DEFAULT_STORE = "sqlite:///runs/ace.db"
"""`ace.config.DEFAULT_STORE`, without the import that `ace --help` would wait for."""

RunName = Annotated[
    str,
    typer.Argument(metavar="RUN", help="A run's id, an unambiguous beginning of it, or 'latest'.", show_default=False),
]
Store = Annotated[
    str, typer.Option("--store", metavar="URL", help="The run store: a path, sqlite:///PATH or postgresql://...")
]
Overrides = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Set a key of the config, such as adaptation.epochs=3. Can be given several times.",
        show_default=False,
    ),
]
ProgressOption = Annotated[
    Literal["auto", "live", "plain", "quiet"],
    typer.Option("--progress", help="Bars, plain lines, or problems alone; auto: bars on a terminal, else lines."),
]
PrintJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table; docs/json.md has its schema.")]
JsonPath = Annotated[
    Path | None,
    typer.Option(
        "--json",
        metavar="PATH",
        dir_okay=False,
        writable=True,
        help="Also write the summary to PATH as JSON, replacing it whole.",
        show_default=False,
    ),
]
