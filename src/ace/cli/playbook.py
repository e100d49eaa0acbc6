"""`ace playbook`: look at playbooks, compare them, take them out of a run and bring them in from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ace.cli.options import DEFAULT_STORE, RunName, Store
from ace.cli.terminal import message_console, show

if TYPE_CHECKING:
    from ace.playbook import Playbook

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Show, compare, export and import playbooks.")

SUFFIXES = (".txt", ".json", ".md")

Source = Annotated[
    str,
    typer.Argument(
        metavar="RUN|FILE",
        help="A run, or a playbook file ending in .json, .md or .txt.",
        show_default=False,
    ),
]
Version = Annotated[
    int | None, typer.Option("--version", help="The playbook version of the run; the best one if not given.")
]


@app.command("show")
def show_playbook(source: Source = "latest", version: Version = None, store: Store = DEFAULT_STORE) -> None:
    """Show a playbook, section by section."""
    from ace.views.playbooks import playbook_view

    show(playbook_view(_load(source, version, store)))


@app.command("diff")
def diff_playbooks(
    source: Source,
    other: Annotated[
        str | None,
        typer.Argument(metavar="RUN|FILE", help="Compare with this one's playbook instead.", show_default=False),
    ] = None,
    before: Annotated[
        int | None, typer.Option("--from", help="The version to compare from; the run's first if not given.")
    ] = None,
    after: Annotated[
        int | None, typer.Option("--to", help="The version to compare to; the best one if not given.")
    ] = None,
    store: Store = DEFAULT_STORE,
) -> None:
    """Show what changed between two versions of a run's playbook, or between two runs or files."""
    from ace.playbook import diff
    from ace.views.playbooks import diff_view

    first = _load(source, before, store, initial=other is None)
    second = _load(source if other is None else other, after, store)
    show(diff_view(diff(first, second)))


@app.command("export")
def export_playbook(
    run: RunName,
    path: Annotated[
        Path,
        typer.Argument(metavar="FILE", dir_okay=False, help="Where to: .json (keeps everything), .md or .txt."),
    ],
    version: Version = None,
    store: Store = DEFAULT_STORE,
) -> None:
    """Write a run's playbook to a file."""
    _write(_load(run, version, store), path)


@app.command("import")
def import_playbook(
    source: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="The playbook: .txt (the original ACE's format), .md or .json."),
    ],
    path: Annotated[
        Path,
        typer.Argument(metavar="OUT", dir_okay=False, help="Where to; a run starts from it with playbook.initial."),
    ],
) -> None:
    """Check a playbook file from elsewhere and write it in another format."""
    from ace.playbook import read_playbook

    _write(read_playbook(source), path)


def _load(source: str, version: int | None, store: str, *, initial: bool = False) -> Playbook:
    """The playbook of a file or a run; `initial` makes the run's first version the default instead of its best."""
    from ace.playbook import read_playbook
    from ace.store import RunStore

    if Path(source).suffix in SUFFIXES:
        if version is not None:
            raise typer.BadParameter(f"{source} is a file, it has no versions")
        return read_playbook(source)
    with RunStore.open(store, create=False) as opened:
        known = opened.run(opened.resolve(source))
        if version is None:
            version = opened.playbook_versions(known.id)[0].version if initial else known.best_version
        return opened.playbook(known.id, version)


def _write(playbook: Playbook, path: Path) -> None:
    from rich.text import Text

    from ace.playbook import write_playbook
    from ace.views.text import visible

    write_playbook(playbook, path)
    message_console().print(Text(f"{visible(str(path))}: {len(playbook)} bullets"), soft_wrap=True)
