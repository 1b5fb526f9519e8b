"""Defines the errors by their cause, each with its exit code.

| error              | cause                                  | exit code |
|--------------------|----------------------------------------|-----------|
| `SpecError`        | the experiment file or the options     | 2         |
| `RefusedError`     | the machine: permissions, kernel, disk | 3         |
| `NotRestoredError` | a setting that was not restored        | 4         |
| `CrashError`       | a mistake in a child process           | 70        |
| any other          | a mistake in chaoskit                  | 70        |

Every message says what, where, and what to type next.
"""

from collections.abc import Collection
from difflib import get_close_matches

EXIT_SOFTWARE = 70
"""Exit code of a mistake in chaoskit itself: EX_SOFTWARE of sysexits.h."""

EXIT_UNDECIDED = 5
"""Exit code of a run that decided nothing: too few streams, a fault that did not come about, or it is still running."""

VERDICTS = (0, 1, EXIT_UNDECIDED)
"""Exit codes of a run that came to its verdict: met or measured, broken, undecided."""


class ChaoskitError(Exception):
    """Base class; `exit_code` is what the command line returns."""

    exit_code = EXIT_SOFTWARE


class SpecError(ChaoskitError):
    """The experiment file or the options make no sense. The message names file, line and dotted path."""

    exit_code = 2


class UnknownNameError(SpecError, KeyError):
    """A phase, table or column is asked for by a name that is not there. The message has the nearest one, or all."""

    def __str__(self) -> str:
        return str(self.args[0])  # KeyError's would have quotes


class RefusedError(ChaoskitError):
    """This machine cannot do what was asked. The message ends with the command to type next."""

    exit_code = 3


class NotRestoredError(ChaoskitError):
    """A setting was not restored. The message names each knob, its value and the command to type."""

    exit_code = 4


class CrashError(ChaoskitError):
    """A child process crashed. It has printed its own report; the message repeats it in one line."""

    exit_code = EXIT_SOFTWARE


def unknown_name(what: str, name: str, known: Collection[str]) -> UnknownNameError:
    """The error for this name of a `what`: "phase"."""
    near = get_close_matches(str(name), known, n=1)
    advice = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(map(repr, known)) or 'none'}"
    return UnknownNameError(f"there is no {what} {name!r}; {advice}")
