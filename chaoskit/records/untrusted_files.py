"""Reads files of a run directory safely, although a crash, a person or a disk may have damaged them.

Rules: only regular files are opened, without blocking; reads are bounded; a missing file has no content; any other
problem is a SpecError that names the file, and the line if there is one.
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

MAX_NUMBER = 2**60
"""Stamps (ns) and counts in records are below it: 36 years."""
MAX_LINE = 1 << 20  # bytes
_MAX_DOCUMENT = 64 << 20  # bytes of a file that is one JSON value
_BLOCK = 4 << 20  # bytes read at a time
_INTEGER_LIMIT = 2**64  # integers in documents are below it
_HINT = "restore the file from a copy, or repeat the run"

_FILE_TYPES = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class Block(NamedTuple):
    """Complete lines of a file; `number` is the line number of the first, from 1."""

    number: int
    data: bytes

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Each line with its number, without the line end."""
        return enumerate(self.data.split(b"\n")[:-1], self.number)


def damage_error(path: Path, problem: str, line: int | None = None) -> SpecError:
    """The error for a damaged file."""
    place = f"{path}:{line}" if line is not None else f"{path}"
    return SpecError(f"{place}: {problem}; {_HINT}")


def open_regular(path: Path) -> BinaryIO | None:
    """Open a regular file for reading; None when it is missing. Raises SpecError for any other type."""
    try:
        _regular(path, path.stat())
        file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC), "rb")
    except FileNotFoundError:
        if path.is_symlink():
            raise damage_error(path, "a symbolic link to nothing") from None
        return None
    except OSError as error:
        raise damage_error(path, error.strerror or "cannot be opened") from None
    try:
        _regular(path, os.fstat(file.fileno()))
    except SpecError:
        file.close()
        raise
    return file


def _regular(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise damage_error(path, f"{_FILE_TYPES.get(stat.S_IFMT(status.st_mode), 'something else')} instead of a file")


class Position(NamedTuple):
    """A position in a file that is read while it grows: byte offset and line number."""

    offset: int = 0
    number: int = 1


START = Position()


def read_blocks(path: Path, position: Position = START) -> Iterator[Block]:
    """The complete lines after `position`, some MiB at a time, without a torn last line."""
    file = open_regular(path)
    if file is None:
        return
    with file:
        file.seek(position.offset)
        number, rest = position.number, b""
        while data := _read_bytes(file, path, _BLOCK):
            whole, end, tail = data.rpartition(b"\n")
            if end:
                block = Block(number, rest + whole + end)
                yield block
                number += block.data.count(b"\n")
                rest = b""
            rest += tail
            if len(rest) > MAX_LINE:
                raise damage_error(path, f"a line of more than {MAX_LINE >> 20} MiB", number)


def _read_bytes(file: BinaryIO, path: Path, max_bytes: int) -> bytes:
    try:
        return file.read(max_bytes)
    except OSError as error:
        raise damage_error(path, error.strerror or "cannot be read") from None


def parse_json(text: bytes) -> Any:
    """The JSON value of this text. Raises ValueError with a readable message."""
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
    raise ValueError(f"{name} is not a number")


_DECODER = json.JSONDecoder(parse_constant=_no_number)


def read_whole(path: Path) -> bytes | None:
    """The content of a text file; None when it is missing. Raises SpecError when it is empty or too large."""
    file = open_regular(path)
    if file is None:
        return None
    with file:
        text = _read_bytes(file, path, _MAX_DOCUMENT + 1)
    if len(text) > _MAX_DOCUMENT:
        raise damage_error(path, f"more than {_MAX_DOCUMENT >> 20} MiB")
    if not text.strip():
        raise damage_error(path, "empty")
    return text


def read_document(path: Path) -> bytes | None:
    """The text of a JSON file: one object with finite numbers within 64 bits and valid Unicode; None: missing."""
    text = read_whole(path)
    if text is None:
        return None
    try:
        value = parse_json(text)
        _check(value)
    except ValueError as error:
        raise damage_error(path, str(error)) from None
    return text


def _check(value: Any) -> None:
    """Raise ValueError for a value that cannot be computed with or written again."""
    if not isinstance(value, dict):
        raise ValueError(f"not a JSON object: {excerpt(value)}")
    waiting: list[Any] = [value]
    while waiting:
        match waiting.pop():
            case dict() as items:
                waiting += [*items.keys(), *items.values()]
            case list() as values:
                waiting += values
            case str() as text if not is_encodable(text):
                raise ValueError(f"half of a character in {excerpt(text)}")
            case float() as number if not math.isfinite(number):
                raise ValueError(f"{number} is not a number")
            case int() as number if not -_INTEGER_LIMIT < number < _INTEGER_LIMIT:
                raise ValueError(f"{excerpt(number)} is out of range")


def is_encodable(value: str) -> bool:
    """Whether it can be encoded in UTF-8: it has no lone surrogates."""
    return value.isascii() or not any("\ud800" <= char <= "\udfff" for char in value)


def excerpt(value: Any) -> str:
    """A short form of a value, for error messages."""
    try:
        text = json.dumps(value)
    except (ValueError, RecursionError):  # more digits than Python prints
        return "a value too large to show"
    return text if len(text) <= 60 else f"{text[:60]}..."
