"""Files of a run directory that may hold anything, because a crash, a person or a disk changed them.

Rules: only a regular file is opened, and opening never waits; what is read at a time has a bound; a file that is
not there holds nothing; whatever else is wrong is a SpecError that names the file, and the line where there is one.
"""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from chaoskit.errors import SpecError

MOST = 2**60
"""Stamps (ns) and counts in records are below it: 36 years."""
LONGEST_LINE = 1 << 20  # bytes
_LARGEST_DOCUMENT = 64 << 20  # bytes of a file that is one JSON value
_BLOCK = 4 << 20  # bytes read at a time
_WORD = 2**64  # whole numbers in documents are below it
_ADVICE = "restore the file from a copy, or make the run again"

_SORTS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class Block(NamedTuple):
    """Whole lines of a file; `number` is that of the first one, from 1."""

    number: int
    data: bytes

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Each line with its number, without its end."""
        return enumerate(self.data.split(b"\n")[:-1], self.number)


def damaged(path: Path, said: str, line: int | None = None) -> SpecError:
    """The error about a file that holds what it should not."""
    place = f"{path}:{line}" if line is not None else f"{path}"
    return SpecError(f"{place}: {said}; {_ADVICE}")


def opened(path: Path) -> BinaryIO | None:
    """A regular file, open for reading; None when nothing is there. Raises SpecError for anything else."""
    try:
        _regular(path, path.stat())
        file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC), "rb")
    except FileNotFoundError:
        if path.is_symlink():
            raise damaged(path, "a symbolic link to nothing") from None
        return None
    except OSError as error:
        raise damaged(path, error.strerror or "cannot be opened") from None
    try:
        _regular(path, os.fstat(file.fileno()))
    except SpecError:
        file.close()
        raise
    return file


def _regular(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise damaged(path, f"{_SORTS.get(stat.S_IFMT(found.st_mode), 'something else')} instead of a file")


class Mark(NamedTuple):
    """A place in a file that is read while it grows: after how many bytes, and the number of the line there."""

    offset: int = 0
    number: int = 1


START = Mark()


def blocks(path: Path, mark: Mark = START) -> Iterator[Block]:
    """The whole lines after `mark`, some MiB at a time. A torn last line is left out."""
    file = opened(path)
    if file is None:
        return
    with file:
        file.seek(mark.offset)
        number, rest = mark.number, b""
        while data := _taken(file, path, _BLOCK):
            whole, end, tail = data.rpartition(b"\n")
            if end:
                block = Block(number, rest + whole + end)
                yield block
                number += block.data.count(b"\n")
                rest = b""
            rest += tail
            if len(rest) > LONGEST_LINE:
                raise damaged(path, f"a line of more than {LONGEST_LINE >> 20} MiB", number)


def _taken(file: BinaryIO, path: Path, most: int) -> bytes:
    try:
        return file.read(most)
    except OSError as error:
        raise damaged(path, error.strerror or "cannot be read") from None


def parsed(text: bytes) -> Any:
    """The JSON value of this text. Raises ValueError with a sentence."""
    try:
        return _DECODER.decode(text.decode())
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg}, column {error.colno}") from None
    except ValueError as error:
        raise ValueError(f"not JSON: {error}") from None


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")


_DECODER = json.JSONDecoder(parse_constant=_no_number)


def whole(path: Path) -> bytes | None:
    """All that a file of one text holds, and not nothing; None: not there."""
    file = opened(path)
    if file is None:
        return None
    with file:
        text = _taken(file, path, _LARGEST_DOCUMENT + 1)
    if len(text) > _LARGEST_DOCUMENT:
        raise damaged(path, f"more than {_LARGEST_DOCUMENT >> 20} MiB")
    if not text.strip():
        raise damaged(path, "empty")
    return text


def document(path: Path) -> bytes | None:
    """The text of a file that is one JSON object of numbers within 64 bits and Unicode text; None: not there."""
    text = whole(path)
    if text is None:
        return None
    try:
        value = parsed(text)
        _check(value)
    except ValueError as error:
        raise damaged(path, str(error)) from None
    return text


def _check(value: Any) -> None:
    """Raises ValueError where a value is none that a program can reckon with or write down again."""
    if not isinstance(value, dict):
        raise ValueError(f"not a JSON object: {excerpt(value)}")
    waiting: list[Any] = [value]
    while waiting:
        match waiting.pop():
            case dict() as words:
                waiting += [*words.keys(), *words.values()]
            case list() as values:
                waiting += values
            case str() as text if not is_text(text):
                raise ValueError(f"half of a character in {excerpt(text)}")
            case float() as number if not math.isfinite(number):
                raise ValueError(f"{number} is no number")
            case int() as number if not -_WORD < number < _WORD:
                raise ValueError(f"{excerpt(number)} is out of range")


def is_text(value: str) -> bool:
    """Whether it can be written down in UTF-8: it has no half of a surrogate pair."""
    return value.isascii() or not any("\ud800" <= char <= "\udfff" for char in value)


def excerpt(value: Any) -> str:
    """A short form of what was found."""
    try:
        text = json.dumps(value)
    except (ValueError, RecursionError):  # more digits than Python prints
        return "a value too large to show"
    return text if len(text) <= 60 else f"{text[:60]}..."
