"""How the program begins and ends: an exit code for every end, and a sentence for every one that is no success.

Rules: 1 is an objective that is broken, and never an exception; nobody else ends the program. Nothing heavy is imported
before there is somebody to catch what goes wrong with that, a Ctrl-C too.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from chaoskit import crash_report, terminal
from chaoskit.errors import ChaoskitError

INTERRUPTED = 130


def main() -> None:
    """Entry point."""
    sys.exit(ended(_command))


def ended(work: Callable[[], int]) -> int:
    """Do the work of a program. Returns its exit code, whatever happens."""
    try:
        terminal.protect()
        code = work()
        terminal.finish()
    except BaseException as error:  # noqa: BLE001  the last frame of a program
        return _failed(error)
    return code


def _failed(error: BaseException) -> int:
    """Say what went wrong, and whose fault it was. Returns the exit code."""
    match crash_report.underlying_error(error):
        case KeyboardInterrupt():
            terminal.complain("interrupted")
            return INTERRUPTED
        case ChaoskitError() as fault:
            terminal.complain(str(fault))
            return fault.exit_code
        case mistake:
            return crash_report.print_report(mistake)


def _command() -> int:
    """The command's exit code.

    Typer's own ends are not used: it answers some of them with 1, and on a stream that has only ASCII it writes past
    the printer.
    """
    from typer import Exit
    from typer._click.exceptions import NoArgsIsHelpError, UsageError  # they have no public names
    from typer.main import get_command

    from chaoskit.cli.app import app

    command = get_command(app)
    try:
        with command.make_context("chaoskit", sys.argv[1:]) as context:
            command.invoke(context)
    except Exit as end:
        return end.exit_code
    except NoArgsIsHelpError as misused:
        terminal.note(*misused.format_message().split("\n"))
        return misused.exit_code
    except UsageError as misused:
        if misused.ctx is not None:
            usage, help_option = misused.ctx.get_usage(), misused.ctx.help_option_names[0]
            terminal.note(*usage.split("\n"), f"Try '{misused.ctx.command_path} {help_option}' for help.", "")
        terminal.complain(misused.format_message())
        return misused.exit_code
    return 0
