"""A mistake of chaoskit's own, as a short report that can be sent to its maintainers.

Rules: it names the exception and the last frames by module and line, never a local variable or a line of source; no
value of an environment variable, of a header or of a URL's query or user stands in it, for an exception's sentence may
quote what it could not handle. What is the machine's fault, or the author's, is not among the mistakes: see `underlying_error`.
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
_FRAMES = 8  # innermost ones that are told
_LONGEST = 300  # signs of an exception's sentence
_LEAST = 6  # signs that a secret has at the least: shorter ones would hide common words
_EXHAUSTED = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
_KNOWN = re.compile(
    r"PATH|HOME|PWD|OLDPWD|SHELL|SHLVL|TERM|COLUMNS|LINES|LANG|LANGUAGE|LC_\w+|TZ|USER|LOGNAME|HOSTNAME|TMPDIR|EDITOR|"
    r"VIRTUAL_ENV|PYTHON\w*|XDG_\w+|CHAOSKIT_\w+|SUDO_\w+|PYTEST_CURRENT_TEST|_"
)
"""Variables whose values are no secrets: paths that a report should name, and words."""


def underlying_error(error: BaseException) -> BaseException:
    """The error that says whose fault it was: of a group the only mistake in it, or the group when it holds several.

    A failed import that a Ctrl-C broke off is that KeyboardInterrupt; a machine that has run out of something is a
    RefusedError; all else is the error itself.
    """
    match error:
        case BaseExceptionGroup():
            faults = [underlying_error(each) for each in error.exceptions]
            mistakes = [each for each in faults if not isinstance(each, ChaoskitError | KeyboardInterrupt)]
            if not mistakes:
                return max(faults, key=lambda each: isinstance(each, KeyboardInterrupt))
            return mistakes[0] if len(mistakes) == 1 else error
        case ImportError() if isinstance(error.__context__, KeyboardInterrupt):
            return error.__context__
        case OSError() if error.errno in _EXHAUSTED:
            where = f" ({os.fsdecode(error.filename)})" if isinstance(error.filename, str | bytes) else ""
            return RefusedError(f"this machine has run out: {error.strerror}{where}; free some, and try again")
    return error


def print_report(error: BaseException) -> int:
    """Report a mistake on standard error. Returns the exit code. Never raises."""
    with suppress(Exception):
        note(*report(error, os.environ, sys.argv))
    return EXIT_SOFTWARE


def report(error: BaseException, environment: Mapping[str, str], argv: Sequence[str]) -> list[str]:
    """The lines to show and to send."""
    hide = _Secrets(environment, argv).hidden
    lines = [f"chaoskit: this is a mistake in chaoskit itself: {hide(_sentence(error))}"]
    lines += [f"  caused by {hide(_sentence(cause))}" for cause in _causes(error)]
    lines += [f"  at {frame}" for frame in _frames(error)]
    lines.append(
        f"  chaoskit {__version__}, Python {platform.python_version()}, {platform.system()} {os.uname().release}"
    )
    if environment.get(FULL):
        whole = "".join(traceback.format_exception(error))
        return [*lines, *(f"  {hide(line)}" for line in whole.splitlines())]
    again = f"{FULL}=1 before the command shows the whole traceback"
    return [*lines, f"  please send these lines to the maintainers; {again}; chaoskit status shows what is in force"]


def summary(error: BaseException) -> str:
    """The mistake in one line, for a record."""
    hide = _Secrets(os.environ, sys.argv).hidden
    return printable(hide(", at ".join([_sentence(_leaf(error)), *_frames(error)[:1]])))


def _sentence(error: BaseException) -> str:
    try:
        said = str(error)
    except Exception as broken:  # noqa: BLE001  an exception whose own text cannot be made
        said = f"(no text: {type(broken).__name__})"
    more = "" if len(said) <= _LONGEST else ".."
    return f"{type(error).__qualname__}: {said[:_LONGEST]}{more}" if said else type(error).__qualname__


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
    """Of a group its first member."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


class _Secrets:
    """What must not be told, and under which name it is hidden."""

    def __init__(self, environment: Mapping[str, str], argv: Sequence[str]) -> None:
        self._names: dict[str, str] = {}
        for name, value in environment.items():
            if not _KNOWN.fullmatch(name):
                self._add(value, f"[${name}]")
        for value in _of_headers(argv):
            self._add(value, "[header]")
        for word in argv:
            for value in re.findall(r"://([^/@\s]*)@", word) + re.findall(r"[?&][^=&\s]*=([^&#\s]*)", word):
                self._add(value, "[in URL]")

    def _add(self, value: str, name: str) -> None:
        """The value, and its parts: where it is quoted, it may be with escapes."""
        for part in (value, *re.split(r"[^!-~]+|[\"'\\]+", value)):
            if len(part) >= _LEAST:
                self._names.setdefault(part, name)

    def hidden(self, text: str) -> str:
        """The text with a name in each secret's place, the longest first."""
        for value in sorted(self._names, key=len, reverse=True):
            text = text.replace(value, self._names[value])
        return text


def _of_headers(argv: Sequence[str]) -> Iterator[str]:
    for before, word in zip(("", *argv), argv, strict=False):
        if before == "--header" or word.startswith("--header="):
            yield word.partition(":")[2].strip()
