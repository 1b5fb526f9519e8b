"""Records as lines of JSON: appended whole, read back without a torn last line.

Rules: a line is one record; a line is written with one write(2); a torn last line is dropped when reading
and never glued to; a line elsewhere that is no record is an error with its number.
"""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from chaoskit.errors import RefusedError
from chaoskit.folder import display_path
from chaoskit.records.model import (
    KINDS,
    Counters,
    Hop,
    Phase,
    Read,
    Record,
    Request,
    Served,
    Signs,
    TcpInfo,
    Unacked,
    Vitals,
)
from chaoskit.records.untrusted_files import LONGEST_LINE, START, Block, Mark, blocks, damaged, parsed
from chaoskit.records.validation import record as shaped

R = TypeVar("R", Phase, Request, Read, Signs, TcpInfo, Vitals, Served, Unacked, Counters, Hop)

FILES: dict[type[Record], str] = {
    Phase: "phases.jsonl",
    Request: "requests.jsonl",
    Read: "tokens.jsonl",
    Signs: "signs.jsonl",
    TcpInfo: "tcp_info.jsonl",
    Vitals: "vitals.jsonl",
    Served: "served.jsonl",
    Unacked: "unacked.jsonl",
    Counters: "counters.jsonl",
    Hop: "hops.jsonl",
}
_CODES = {kind: code for code, kind in enumerate(KINDS)}


def line(record: Record) -> str:
    """One record as one line of JSON, newline included."""
    match record:
        case Read():  # thousands a second: columns instead of keys
            events = "".join(f",{_CODES[e.kind]},{_n(e.seq)},{_n(e.due)},{_n(e.sent)}" for e in record.events)
            return f"[{record.stream},{record.read},{record.at},{record.user},{record.size}{events}]\n"
        case Signs():
            return f"[{','.join(map(str, _fields(record).values()))}]\n"
        case _:
            return json.dumps(_fields(record), separators=(",", ":")) + "\n"


class Log:
    """An append-only file of one kind of record. `flush` hands what was added to the kernel in one write."""

    def __init__(self, run: Path, kind: type[Record]) -> None:
        self.path = run / FILES[kind]
        self._file: io.FileIO = self.path.open("ab", buffering=0)
        self._waiting: list[str] = []

    def add(self, record: Record) -> None:
        """Remember it until the next flush."""
        self._waiting.append(line(record))

    def flush(self) -> None:
        """Write what waits. A full disk raises RefusedError."""
        if not self._waiting:
            return
        text = "".join(self._waiting).encode()
        self._waiting.clear()
        try:
            written = self._file.write(text)
            while written < len(text):
                written += self._file.write(text[written:])
        except OSError as error:
            raise RefusedError(
                f"cannot write {display_path(self.path)}: {error.strerror}; free some space or use --out"
            ) from error

    def close(self) -> None:
        """Flush and close, whether it could be flushed or not."""
        try:
            self.flush()
        finally:
            self._file.close()


def read(run: Path, kind: type[R]) -> list[R]:
    """All records of one kind, in the order they were written. A file that is not there holds none.

    Raises SpecError with file and line.
    """
    return [record for _, record in numbered(run, kind)]


def numbered(run: Path, kind: type[R]) -> Iterator[tuple[int, R]]:
    """As `read`, one by one, each with the number of its line."""
    path = run / FILES[kind]
    for block in blocks(path):
        yield from records(block, kind, path)


def records(block: Block, kind: type[R], path: Path) -> Iterator[tuple[int, R]]:
    """Those of these lines of this file. Raises SpecError with file and line."""
    for number, text in block.lines():
        if len(text) > LONGEST_LINE:
            raise damaged(path, f"a line of more than {LONGEST_LINE >> 20} MiB", number)
        try:
            yield number, shaped(kind, parsed(text))
        except ValueError as error:
            raise damaged(path, str(error), number) from None


def follow(run: Path, kind: type[R], mark: Mark = START) -> tuple[list[R], Mark]:
    """The whole lines after `mark`, and the mark after them. For looking on while a run writes."""
    path, found = run / FILES[kind], []
    for block in blocks(path, mark):
        found += [record for _, record in records(block, kind, path)]
        mark = Mark(mark.offset + len(block.data), mark.number + block.data.count(b"\n"))
    return found, mark


def _fields(record: Record) -> dict[str, Any]:
    return {f.name: getattr(record, f.name) for f in dataclasses.fields(record)}


def _n(value: int | None) -> str:
    return "null" if value is None else str(value)
