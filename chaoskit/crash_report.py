"""Reports an error in chaoskit itself, in a few lines that can be sent to its maintainers.

Rules: the report names the exception and the last frames by module and line, never a local variable or a line of
source. It contains no value of an environment variable, of a header, or of a URL's query or user, which an exception's
message may quote. Errors of the machine or of the experiment's author are not reported: see `underlying_error`.
"""

from __future__ import annotations

import errno
import os
import platform
import re
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from chaoskit import __version__
from chaoskit.errors import EXIT_SOFTWARE, ChaoskitError, RefusedError
from chaoskit.terminal import note, printable

FULL = "CHAOSKIT_TRACEBACK"  # an environment variable: 1 for the whole traceback
_FRAMES = 8  # innermost ones that are reported
_MAX_MESSAGE = 300  # characters of an exception's message
_MIN_SECRET = 6  # characters: redacting shorter values would hide common words
_EXHAUSTED = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
_NO_SECRETS = re.compile(
    r"PATH|HOME|PWD|OLDPWD|SHELL|SHLVL|TERM|COLUMNS|LINES|LANG|LANGUAGE|LC_\w+|TZ|USER|LOGNAME|HOSTNAME|TMPDIR|EDITOR|"
    r"VIRTUAL_ENV|PYTHON\w*|XDG_\w+|CHAOSKIT_\w+|SUDO_\w+|PYTEST_CURRENT_TEST|_"
)
"""Variables whose values are not secret: paths that a report should show, and plain words."""


def underlying_error(error: BaseException) -> BaseException:
    """The error that decides the exit code: of a group its first unexpected error, never the group itself.

    An error that Ctrl-C caused, of an import or while things were closed, becomes that KeyboardInterrupt; an exhausted
    resource of the machine, memory included, becomes a RefusedError; any other error is returned as it is.
    """
    match error:
        case BaseExceptionGroup():
            errors = [underlying_error(each) for each in error.exceptions]
            unexpected = [each for each in errors if not isinstance(each, ChaoskitError | KeyboardInterrupt)]
            if not unexpected:
                return max(errors, key=lambda each: isinstance(each, KeyboardInterrupt))
            return unexpected[0]
        case Exception() if not isinstance(error, ChaoskitError) and (interrupt := _interrupt_behind(error)):
            return interrupt
        case MemoryError():
            return RefusedError("this machine has run out: no memory; free some, and try again")
        case OSError() if error.errno in _EXHAUSTED:
            where = f" ({os.fsdecode(error.filename)})" if isinstance(error.filename, str | bytes) else ""
            return RefusedError(f"this machine has run out: {error.strerror}{where}; free some, and try again")
    return error


def _interrupt_behind(error: BaseException) -> KeyboardInterrupt | None:
    """The Ctrl-C while which this error was raised."""
    return next((cause for cause in _causes(error) if isinstance(cause, KeyboardInterrupt)), None)


def print_report(error: BaseException) -> int:
    """Print the report of an error on standard error. Returns the exit code. Never raises."""
    with suppress(Exception):
        note(*report(error, os.environ, sys.argv))
    return EXIT_SOFTWARE


def report(error: BaseException, environment: Mapping[str, str], argv: Sequence[str]) -> list[str]:
    """The lines to show and to send."""
    redact = _Secrets(environment, argv).redact
    lines = [f"chaoskit: this is a mistake in chaoskit itself: {redact(_sentence(error))}"]
    lines += [f"  caused by {redact(_sentence(cause))}" for cause in _causes(error)]
    lines += [f"  at {frame}" for frame in _frames(error)]
    lines.append(
        f"  chaoskit {__version__}, Python {platform.python_version()}, {platform.system()} {os.uname().release}"
    )
    if environment.get(FULL):
        whole = "".join(traceback.format_exception(error))
        return [*lines, *(f"  {redact(line)}" for line in whole.splitlines())]
    again = f"{FULL}=1 before the command shows the whole traceback"
    return [*lines, f"  please send these lines to the maintainers; {again}; chaoskit status shows what is in force"]


def summary(error: BaseException) -> str:
    """The error in one line, for a record."""
    redact = _Secrets(os.environ, sys.argv).redact
    return printable(redact(", at ".join([_sentence(_leaf(error)), *_frames(error)[:1]])))


def _sentence(error: BaseException) -> str:
    try:
        message = str(error)
    except Exception as broken:  # noqa: BLE001  an exception whose __str__ fails
        message = f"(no text: {type(broken).__name__})"
    more = "" if len(message) <= _MAX_MESSAGE else ".."
    return f"{type(error).__qualname__}: {message[:_MAX_MESSAGE]}{more}" if message else type(error).__qualname__


def _causes(error: BaseException) -> Iterator[BaseException]:
    """What it was raised from, the latest first, and the members of a group."""
    seen = {id(error)}
    waiting = [error]
    while waiting and len(seen) <= _FRAMES:
        one = waiting.pop(0)
        members = one.exceptions if isinstance(one, BaseExceptionGroup) else ()
        cause = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
        for each in (*members, *([cause] if cause else [])):
            if id(each) not in seen:
                seen.add(id(each))
                waiting.append(each)
                yield each


def _frames(error: BaseException) -> list[str]:
    """The last frames as module:line, the innermost first."""
    frames = list(traceback.walk_tb(_leaf(error).__traceback__))[-_FRAMES:]
    return [f"{frame.f_globals.get('__name__', '?')}:{line} {frame.f_code.co_name}" for frame, line in reversed(frames)]


def _leaf(error: BaseException) -> BaseException:
    """The first member of a group, recursively."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


class _Secrets:
    """Values that must not be shown, and the placeholder for each."""

    def __init__(self, environment: Mapping[str, str], argv: Sequence[str]) -> None:
        self._names: dict[str, str] = {}
        for name, value in environment.items():
            if not _NO_SECRETS.fullmatch(name):
                self._add(value, f"[${name}]")
        for value in _of_headers(argv):
            self._add(value, "[header]")
        for word in argv:
            for value in re.findall(r"://([^/@\s]*)@", word) + re.findall(r"[?&][^=&\s]*=([^&#\s]*)", word):
                self._add(value, "[in URL]")

    def _add(self, value: str, name: str) -> None:
        """Add the value and its parts: a quoted value may contain escapes."""
        for part in (value, *re.split(r"[^!-~]+|[\"'\\]+", value)):
            if len(part) >= _MIN_SECRET:
                self._names.setdefault(part, name)

    def redact(self, text: str) -> str:
        """The text with each secret replaced by its placeholder, the longest first."""
        for value in sorted(self._names, key=len, reverse=True):
            text = text.replace(value, self._names[value])
        return text


def _of_headers(argv: Sequence[str]) -> Iterator[str]:
    for before, word in zip(("", *argv), argv, strict=False):
        if before == "--header" or word.startswith("--header="):
            yield word.partition(":")[2].strip()
