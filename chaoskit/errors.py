"""Errors by whose fault they are. A failing system under test is not among them: that is data.

| error              | whose fault                          | exit code |
|--------------------|--------------------------------------|-----------|
| `SpecError`        | the author's: the file, the options  | 2         |
| `RefusedError`     | the machine's: rights, kernel, disk  | 3         |
| `NotRestoredError` | ours: something was not put back     | 4         |
| `CrashError`       | ours: a mistake, in a child process  | 70        |
| any other          | ours: a mistake in chaoskit          | 70        |

Every message says what, where, and what to type next.
"""

EXIT_SOFTWARE = 70
"""Exit code of a mistake of chaoskit's own (sysexits.h)."""


class ChaoskitError(Exception):
    """Base of these; `exit_code` is what the command line returns for it."""

    exit_code = EXIT_SOFTWARE


class SpecError(ChaoskitError):
    """The experiment file or the options make no sense. The message names file, line and dotted path."""

    exit_code = 2


class RefusedError(ChaoskitError):
    """This machine cannot do what was asked. The message ends with the command to type next."""

    exit_code = 3


class NotRestoredError(ChaoskitError):
    """Something was not put back. The message names each knob, its value and the command to type."""

    exit_code = 4


class CrashError(ChaoskitError):
    """A process of ours ended by a mistake of ours. It has reported that itself; the message repeats it in a line."""

    exit_code = EXIT_SOFTWARE
