"""The command line: ``ranvier COMMAND``. Commands are imported when they are used, errors explained in one place."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

import typer

from ranvier.neurons.cli.group import Commands
from ranvier.neurons.exits import ExitCode, explain

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    help="The neuron layer for proof-of-intelligence networks. Exit codes: docs/exit-codes.md.",
)


@app.callback()
def _root() -> None:
    """Give the group its options."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit with its code; an error becomes one message, with RANVIER_DEBUG=1 also a traceback."""
    command = typer.main.get_command(app)
    try:
        status = command.main(args=arguments, prog_name="ranvier", standalone_mode=False)
    except BaseException as error:  # noqa: BLE001  the one place where every error becomes a message and a code
        sys.exit(_failed(error))
    sys.exit(status if isinstance(status, int) else ExitCode.OK)


def _failed(error: BaseException) -> int:
    """The code for what ended a command, after saying why. Usage errors show themselves."""
    show = getattr(error, "show", None)
    if show is not None:
        show()
        return int(getattr(error, "exit_code", ExitCode.USAGE))
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else ExitCode.UNEXPECTED
    if type(error).__name__ in ("Exit", "Abort"):
        return int(getattr(error, "exit_code", ExitCode.INTERRUPTED))
    if os.environ.get("RANVIER_DEBUG") == "1":
        traceback.print_exception(error)
    code, message = explain(error)
    sys.stderr.write(f"ranvier: {message}\n")
    return int(code)
