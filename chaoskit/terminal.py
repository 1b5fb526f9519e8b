"""Writes to standard output and error, with control characters of untrusted text escaped.

Rules: every line for a person goes through `say`, `complain`, `note`, `Progress` or `report.screen`, and nothing else
writes to standard output or error. What a terminal would interpret or hide is shown as an escape: `\\x1b`, `\\u202e`,
`\\n` within one line; so is the begin of a command that the log of a pipeline obeys. The notation is that of Python's
and C's string literals; a backslash of the text itself is kept, so that a text can be escaped twice. `--json` has the
exact text, in ASCII. `protect` does the same for what libraries, warnings and tracebacks write to the standard streams.
The output of a user's own command is passed through unchanged.

A new output format needs one function that all its text passes, which escapes what *its* reader interprets. HTML:
`html.escape` with quotes, then `printable`. XML (JUnit): the same, and no control at all, which XML 1.0 forbids even
as a reference. Markdown: `report/markdown_text`. CSV: the csv module's quotes, and an apostrophe before a leading `=`,
`+`, `-`, `@`, tab or return, which a spreadsheet would compute. JSON: `ascii_json`.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import sys
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from itertools import chain
from types import TracebackType
from typing import TextIO

from chaoskit.errors import RefusedError

_MOST_MARKS = 8  # combining marks on one character, more than any script needs; UAX #15 bounds a stream's at 30
_MARKS = ("Mn", "Me")
_INVISIBLE = frozenset(
    map(
        chr,
        chain(
            (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180F, 0x3164, 0xFFA0),
            range(0x180B, 0x180E),
            range(0xFE00, 0xFE10),
            range(0xE0100, 0xE01F0),
        ),
    )
)
"""Default_Ignorable_Code_Point (Unicode, DerivedCoreProperties.txt), as far as `str.isprintable` lets it pass."""

_PLAIN = str.maketrans(
    {"×": "x", "≈": "~", "–": "-", "∞": "inf", "·": ",", "…": ".."} | dict(zip("▁▂▃▄▅▆▇█", "_.,-=+*#", strict=True))
)
_TRAILING = re.compile(r" +((?:\x1b\[[0-9;]*m)*)(?=\n)")
_NOT_ASCII = re.compile(r"[^\n -~]")


_AZURE_COMMAND = re.compile(r"##(?=[a-z]*\[)", re.IGNORECASE)
_CI_COMMAND = re.compile(
    r"::(?=(?:error|warning|notice|debug|group|endgroup|echo|add-\w+|remove-\w+|stop-commands|set-\w+|save-\w+)(?:\s|::|$))"
    rf"|{_AZURE_COMMAND.pattern}",
    re.IGNORECASE,
)
"""What the log of a pipeline obeys: workflow commands of GitHub, of Azure Pipelines and TeamCity."""


def printable(text: str) -> str:
    """The text on one line, with escapes for everything except visible characters and plain spaces.

    That is what Unicode calls other (controls, format characters such as bidi marks and zero-width joiners, lone
    surrogates, private use, unassigned) or a separator, what it calls ignorable, and marks piled on one character; and
    the sign that begins a command in the log of a pipeline.
    """
    if "::" in text or "##" in text:
        text = _CI_COMMAND.sub(lambda found: f"\\x{ord(found[0][0]):02x}{found[0][1]}", text)
    if text.isascii() and text.isprintable():
        return text
    shown: list[str] = []
    marks = 0
    for sign in text:
        marks = marks + 1 if unicodedata.category(sign) in _MARKS else 0
        is_visible = sign.isprintable() and sign not in _INVISIBLE and marks <= _MOST_MARKS
        shown.append(sign if is_visible else sign.encode("unicode_escape").decode())
    return "".join(shown)


def printable_lines(text: str) -> str:
    """The same for a text of several lines: line feeds are kept."""
    return "\n".join(map(printable, text.split("\n")))


def shortened(text: str, most: int) -> str:
    """The text, or its beginning, of at most so many characters, up to the end of a word."""
    if len(text) <= most:
        return text
    begin = text[: most - 3]
    words = begin.rpartition(" ")[0] if text[most - 3] != " " else begin
    return f"{words.rstrip(' ,;:') or begin} ..." if len(words) > most // 2 else f"{begin}..."


def printable_begin(text: str, most: int) -> str:
    """The text, or its beginning, as printable text of at most so many characters."""
    return shortened(printable(text[: most + 1]), most)


def ascii_only(text: str) -> str:
    """For a terminal without Unicode: chaoskit's own symbols become similar ASCII ones, all others escapes."""
    return text.translate(_PLAIN).encode("ascii", "backslashreplace").decode()


def ascii_json(text: str) -> str:
    """The same JSON in printable ASCII: exact for a program, harmless on a screen, and readable as YAML."""
    return _AZURE_COMMAND.sub(r"\\u0023#", _NOT_ASCII.sub(_json_escape, text))


def _json_escape(sign: re.Match[str]) -> str:
    units = sign[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def say(*lines: str) -> None:
    """Write these lines to standard output. A line feed within one is shown as an escape: no text makes two lines."""
    _write(sys.stdout, "".join(f"{printable(line)}\n" for line in lines))


def say_fields(text: str) -> None:
    """Write lines with fields between tabs to standard output, for a shell."""
    fields = "\n".join("\t".join(map(printable, line.split("\t"))) for line in text.split("\n"))
    StyledFile(sys.stdout).write(f"{fields}\n")
    sys.stdout.flush()


def say_json(text: str) -> None:
    """Write JSON to standard output, in ASCII."""
    _write(sys.stdout, ascii_json(text.rstrip("\n")) + "\n")


def say_bytes(content: Iterable[bytes]) -> None:
    """Write a document to standard output as it is: its format has escaped what its reader would interpret."""
    stream = sys.stdout
    if isinstance(stream, SafeStream):
        stream.flush()
        with _WriteErrors(stream):
            for part in content:
                stream.buffer.write(part)
            stream.buffer.flush()
    elif stream is not None:
        stream.buffer.writelines(content)
        stream.buffer.flush()


def note(*lines: str) -> None:
    """Write these lines to standard error, each as it is."""
    _write(sys.stderr, "".join(f"{printable(line)}\n" for line in lines))


def complain(sentence: str) -> None:
    """Write an error to standard error, after `chaoskit: `. Its further lines are indented."""
    first, *rest = sentence.split("\n")
    note(f"chaoskit: {first}", *(line if line.startswith("  ") else f"  {line}" for line in rest))


def _write(stream: TextIO | None, text: str) -> None:
    if stream is not None:  # closed at the start, and `protect` was not called
        stream.write(text)
        stream.flush()


class Progress:
    """A context manager; `show` writes a line of news to standard error, on a terminal over the one before."""

    def __init__(self) -> None:
        self.is_live = sys.stderr is not None and sys.stderr.isatty()
        self._is_shown = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.clear()

    def clear(self) -> None:
        """Take the line away, if there is one."""
        if self._is_shown:
            self._draw("")

    def show(self, news: str) -> None:
        """The latest news; on a terminal cropped to its width, because only one line can be written over."""
        if self.is_live:
            width = shutil.get_terminal_size().columns - 1
            line = printable(news)
            self._draw(line if len(line) <= width else f"{line[: width - 1]}…")
        else:
            note(news)

    def _draw(self, line: str) -> None:
        if self.is_live:
            StyledFile(sys.stderr).write(f"\r\x1b[K{line}")
            sys.stderr.flush()
            self._is_shown = bool(line)


class SafeStream(io.TextIOWrapper):
    """A standard stream that escapes what a terminal would interpret.

    When the reader has gone, as with `| head`, further output is discarded and the command keeps its exit code. Any
    other failure of standard output raises RefusedError, once, and again at `finish`; a failure of standard error,
    which cannot be reported, is ignored.
    """

    lost: RefusedError | None = None
    former: TextIO | None = None  # kept, because its finalizer would close the shared descriptor

    def write(self, text: str, /) -> int:
        """Escaped, and in signs that the encoding has."""
        self.write_styled(printable_lines(text))
        return len(text)

    def write_styled(self, text: str) -> None:
        """A text with chaoskit's own styles and cursor movements, in which untrusted text is escaped already."""
        with _WriteErrors(self):
            super().write(text if self.encoding.lower().startswith("utf") else ascii_only(text))

    def flush(self) -> None:
        """As every stream."""
        if not self.closed:
            with _WriteErrors(self):
                super().flush()

    def close(self) -> None:
        """Flush only: the descriptor belongs to the process."""
        self.flush()


class _WriteErrors:
    """Handles the error of a stream that cannot be written, and redirects further output to /dev/null."""

    def __init__(self, stream: SafeStream) -> None:
        self._stream = stream

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, OSError):
            return False
        with suppress(OSError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._stream.fileno())
            os.close(null)
        if isinstance(error, BrokenPipeError) or self._stream.fileno() == 2:
            return True
        self._stream.lost = RefusedError(
            f"cannot write standard output: {error.strerror}; free some space, or send it elsewhere"
        )
        raise self._stream.lost from error


class StyledFile:
    """A stream for rich. Takes text with chaoskit's own styles, in which untrusted text is escaped already."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    @property
    def encoding(self) -> str:
        """Of the stream."""
        return self._stream.encoding

    def fileno(self) -> int:
        """Of the stream."""
        return self._stream.fileno()

    def isatty(self) -> bool:
        """Of the stream."""
        return self._stream.isatty()

    def write(self, text: str, /) -> int:
        """As it is, without blanks at the ends of lines."""
        shown = _TRAILING.sub(r"\1", text)
        if isinstance(self._stream, SafeStream):
            self._stream.write_styled(shown)
        else:
            self._stream.write(shown)
        return len(text)

    def flush(self) -> None:
        """Of the stream."""
        self._stream.flush()


def protect() -> None:
    """Replace standard output and error by `SafeStream`s. Called first in a program.

    A closed standard descriptor is opened on /dev/null: otherwise the next opened file would get its number, and the
    program's output.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    sys.stdout, sys.stderr = _safe(sys.stdout, 1), _safe(sys.stderr, 2)


def finish() -> None:
    """Flush standard output. Raises RefusedError when something could not be written, now or before."""
    sys.stdout.flush()
    if isinstance(sys.stdout, SafeStream) and sys.stdout.lost is not None:
        raise sys.stdout.lost


def _safe(stream: TextIO | None, number: int) -> TextIO:
    if isinstance(stream, SafeStream):
        return stream
    if stream is None:
        return SafeStream(open(number, "wb", closefd=False), "utf-8", "backslashreplace")
    assert isinstance(stream, io.TextIOWrapper)
    safe = SafeStream(
        stream.buffer,
        stream.encoding,
        "backslashreplace",
        line_buffering=stream.line_buffering or number == 2,
        write_through=stream.write_through,
    )
    safe.former = stream
    return safe
