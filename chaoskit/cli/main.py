"""Runs the command line: maps every end, exceptions included, to an exit code and one sentence.

Rules: 1 means a broken objective, and never an exception. Heavy modules are imported inside the handler, so that an
error or a Ctrl-C during their import is reported, too: in one line.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from chaoskit import crash_report, keyboard_interrupt, terminal
from chaoskit.errors import ChaoskitError


def main() -> None:
    """Entry point."""
    sys.exit(run_program(_command))


def run_program(work: Callable[[], int]) -> int:
    """Run `work` as the program, which ends afterwards. Returns the exit code, and never raises."""

    def whole() -> int:
        terminal.protect()
        code = work()
        terminal.finish()
        return code

    keyboard_interrupt.handle()
    try:
        return keyboard_interrupt.interruptible(whole)
    except BaseException as error:  # noqa: BLE001  the last frame of a program
        return _report(error)
    finally:
        keyboard_interrupt.ignore()  # Python's own end restores the default handlers


def _report(error: BaseException) -> int:
    """Print what went wrong. Returns the exit code."""
    match crash_report.underlying_error(error):
        case KeyboardInterrupt() as end:
            terminal.complain("; ".join(["interrupted", *map(str, end.args)]))
            return keyboard_interrupt.end(130)
        case ChaoskitError() as fault:
            terminal.complain(str(fault))
            return fault.exit_code
        case mistake:
            return crash_report.print_report(mistake)


def _command() -> int:
    """The command's exit code. Typer's own errors end with 1 in some cases, and may not be encodable."""
    from typer import Exit
    from typer._click.exceptions import NoArgsIsHelpError, UsageError  # they have no public names
    from typer.main import get_command

    from chaoskit.cli.app import app
    from chaoskit.cli.completion import VARIABLE, complete
    from chaoskit.cli.usage import explain

    command = get_command(app)
    if instruction := os.environ.get(VARIABLE):
        return complete(command, instruction)
    try:
        with command.make_context("chaoskit", sys.argv[1:]) as context:
            command.invoke(context)
    except Exit as end:
        return end.exit_code
    except NoArgsIsHelpError as misused:
        terminal.note(*misused.format_message().split("\n"))
        return misused.exit_code
    except UsageError as misused:
        terminal.complain(explain(misused))
        return misused.exit_code
    return 0
