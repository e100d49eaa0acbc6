"""The command `ace`. Nothing heavy is imported before a command needs it, so that `ace --help` is quick."""

from __future__ import annotations

import sys
from io import TextIOWrapper
from typing import Annotated

import typer

from ace.cli.commands import (
    bench_commands,
    doctor,
    eval_files_command,
    experiment_commands,
    grow_command,
    plan_command,
    playbook_commands,
    quickstart,
    report_command,
    run_commands,
    serve_commands,
    serve_engine,
    show_commands,
    task_commands,
    ui_command,
)
from ace.cli.terminal import Commands

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help: typer's rich help alone costs half of the time that `ace --help` may take
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="ACE: make a language model better at a task by growing a playbook, at the speed of the inference engine.",
)

app.command("quickstart")(quickstart.quickstart)
app.command("run")(run_commands.run)
app.command("eval")(run_commands.evaluate)
app.command("eval-files")(eval_files_command.eval_files)
app.command("resume")(run_commands.resume)
app.command("runs")(show_commands.runs)
app.command("show")(show_commands.show_run)
app.command("report")(report_command.report)
app.command("ui")(ui_command.ui)
app.command("mcp")(serve_commands.mcp)
app.command("plan")(plan_command.plan)
app.command("compare")(experiment_commands.compare)
app.command("ablate")(experiment_commands.ablate)
app.command("baselines")(experiment_commands.baselines)
app.command("serve")(serve_commands.serve)
app.command("learn")(serve_commands.learn)
app.command("grow")(grow_command.grow)
app.command("serve-engine")(serve_engine.serve_engine)
app.command("doctor")(doctor.doctor)
app.add_typer(task_commands.app, name="task")
app.add_typer(playbook_commands.app, name="playbook")
app.add_typer(bench_commands.app, name="bench")


def _version(requested: bool) -> None:
    if requested:
        import ace

        typer.echo(f"ace {ace.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """The options of `ace` itself."""


def main() -> None:
    """The entry point of the command `ace`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that lacks a character shows its number
    app(prog_name="ace")
