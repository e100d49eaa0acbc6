"""`ace report`: one file that shows runs to people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import typer

from ace.cli.options import DEFAULT_STORE, Store
from ace.cli.terminal import message_console

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ace.experiments import Comparison
    from ace.reporting.pages.report_data import ReportedRun
    from ace.store import RunReader

Format = Literal["html", "md", "csv", "png"]
STDOUT = Path("-")


def report(
    runs: Annotated[
        list[str] | None,
        typer.Argument(metavar="RUN...", help="Ids, beginnings of them, or 'latest'. Several are compared."),
    ] = None,
    store: Store = DEFAULT_STORE,
    kind: Annotated[
        Format | None,
        typer.Option(
            "--format",
            help="html opens offline; png has the learning curves. Default: the ending of FILE, else html.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            dir_okay=False,
            help="Default: ace-report.FORMAT; - is standard output.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write a report of one or several runs: learning curve, playbook, calls, failures, and their comparison."""
    from rich.text import Text

    from ace._util.files import replace_file, replaceable
    from ace.reporting.pages.report_data import collect_run
    from ace.store import RunStore

    kind = kind or _kind_of(output)
    path = output or Path(f"ace-report.{kind}")
    if path != STDOUT:
        replaceable(path)
    with RunStore.open(store, create=False) as opened:
        ids = list(dict.fromkeys(opened.resolve(run) for run in runs or ["latest"]))
        collected = [collect_run(opened, run) for run in ids]
        comparisons = _comparisons(opened, ids)
    rendered = _rendered(kind, collected, comparisons)
    if path == STDOUT:
        typer.echo(rendered, nl=False)
        return
    replace_file(path, rendered)
    message_console().print(Text(f"wrote {path}"), soft_wrap=True)


def _kind_of(output: Path | None) -> Format:
    """The format that the ending of `output` names, else html."""
    ending = "" if output is None else output.suffix.removeprefix(".")
    return next((kind for kind in get_args(Format) if kind == ending), "html")


def _comparisons(store: RunReader, ids: Sequence[str]) -> Sequence[Comparison]:
    """Compare further runs with the first, or after with before of one run. Empty where nothing can be compared."""
    from ace.errors import DataError, RunNotFoundError
    from ace.experiments import compare_evaluations
    from ace.experiments.outcomes import evaluated

    try:
        if len(ids) == 1:
            return compare_evaluations(evaluated(store, ids[0], "before"), [evaluated(store, ids[0])])
        return compare_evaluations(evaluated(store, ids[0]), [evaluated(store, run) for run in ids[1:]])
    except (DataError, RunNotFoundError) as error:
        from rich.text import Text

        message_console().print(Text(f"no comparison: {error.message}"), soft_wrap=True)
        return ()


def _rendered(kind: Format, runs: Sequence[ReportedRun], comparisons: Sequence[Comparison]) -> str | bytes:
    from ace.reporting.pages import report_exports
    from ace.reporting.pages.report_page import report_html

    if kind == "html":
        return report_html(runs, comparisons)
    if kind == "md":
        return report_exports.report_markdown(runs, comparisons)
    return report_exports.report_csv(runs) if kind == "csv" else report_exports.report_png(runs)
