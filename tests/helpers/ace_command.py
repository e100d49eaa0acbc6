"""The command `ace` in this process. Its tree of commands takes 40 ms to build, and is built once."""

from __future__ import annotations

import sys

from typer.main import get_command
from typer.testing import CliRunner, Result

from ace.cli.main import app
from ace.inference import Backends

COMMAND = get_command(app)


def invoke(*arguments: object, backends: Backends | None = None) -> Result:
    """Run `ace ARGUMENTS`, with `backends` in the place of the models of its config."""
    runner = CliRunner()
    exit_code, error = 0, None
    with runner.isolation() as (stdout, stderr, output):
        try:
            COMMAND.main([str(argument) for argument in arguments], prog_name="ace", obj=backends)
        except SystemExit as end:
            assert end.code is None or isinstance(end.code, int)
            exit_code = end.code or 0
        except Exception as failure:  # a defect, which the test sees as CliRunner's users do
            exit_code, error = 1, failure
        sys.stdout.flush()
        sys.stderr.flush()
        return Result(runner, stdout.getvalue(), stderr.getvalue(), output.getvalue(), None, exit_code, error)
