"""Appends records to JSON Lines files, and reads them back without a torn last line.

Rules: a line is one record; a line is written with one write(2); a torn last line is ignored when reading; any other
invalid line is an error with its line number.
"""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from chaoskit.errors import RefusedError
from chaoskit.folder import display_path
from chaoskit.records.host_records import ConnectionEnd, HostSocket, HostState, NamespaceCounters
from chaoskit.records.look_record import Look
from chaoskit.records.model import (
    KINDS,
    Counters,
    Hop,
    Keepalives,
    Phase,
    Record,
    Request,
    ServedResponse,
    SocketRead,
    TcpInfo,
    UnackedSample,
    Vitals,
)
from chaoskit.records.spans import Exports, ModelState, Span
from chaoskit.records.untrusted_files import MAX_LINE, START, Block, Position, damage_error, parse_json, read_blocks
from chaoskit.records.validation import validate as validate

R = TypeVar(
    "R",
    Phase,
    Request,
    SocketRead,
    Keepalives,
    TcpInfo,
    Vitals,
    ServedResponse,
    UnackedSample,
    Counters,
    Hop,
    Look,
    ConnectionEnd,
    HostSocket,
    HostState,
    NamespaceCounters,
    Span,
    ModelState,
    Exports,
)

FILES: dict[type[Record], str] = {
    Phase: "phases.jsonl",
    Request: "requests.jsonl",
    SocketRead: "tokens.jsonl",
    Keepalives: "keepalives.jsonl",
    TcpInfo: "tcp_info.jsonl",
    Vitals: "vitals.jsonl",
    ServedResponse: "served.jsonl",
    UnackedSample: "unacked.jsonl",
    Counters: "counters.jsonl",
    Hop: "hops.jsonl",
    Look: "looks.jsonl",
    ConnectionEnd: "connection_ends.jsonl",
    HostSocket: "host_sockets.jsonl",
    HostState: "host_states.jsonl",
    NamespaceCounters: "namespace_counters.jsonl",
    Span: "spans.jsonl",
    ModelState: "model_states.jsonl",
    Exports: "exports.jsonl",
}
_NAMES = {kind: tuple(field.name for field in dataclasses.fields(kind)) for kind in FILES}
_encode = json.JSONEncoder(separators=(",", ":")).encode
_CODES = {kind: code for code, kind in enumerate(KINDS)}


def to_line(record: Record) -> str:
    """One record as one line of JSON, newline included."""
    match record:
        case SocketRead():  # thousands a second: an array instead of an object
            events = "".join(
                f",{_CODES[e.kind]},{_number(e.seq)},{_number(e.due)},{_number(e.sent)}" for e in record.events
            )
            head = f"{record.stream},{record.number},{record.at},{record.read_at},{record.looked_at},{record.size}"
            return f"[{head}{events}]\n"
        case Keepalives():
            return f"[{','.join(map(str, _fields(record).values()))}]\n"
        case Vitals(process=None):
            fields = _fields(record)
            del fields["process"]
            return _encode(fields) + "\n"
        case _:
            return _encode(_fields(record)) + "\n"


class Log:
    """An append-only file of one kind of record. `flush` writes all added records in one write(2)."""

    def __init__(self, run: Path, kind: type[Record]) -> None:
        self.path = run / FILES[kind]
        self._file: io.FileIO = self.path.open("ab", buffering=0)
        self._buffer: list[str] = []

    def add(self, record: Record) -> None:
        """Buffer it until the next flush."""
        self._buffer.append(to_line(record))

    def flush(self) -> None:
        """Write the buffered records. Raises RefusedError, for example when the disk is full."""
        if not self._buffer:
            return
        text = "".join(self._buffer).encode()
        self._buffer.clear()
        written = 0
        try:
            while written < len(text):
                written += self._file.write(text[written:])
        except OSError as error:
            with suppress(OSError):  # no torn line before those that may fit later
                self._file.truncate(self._file.seek(0, io.SEEK_END) - written)
            raise RefusedError(
                f"cannot write {display_path(self.path)}: {error.strerror}; free some space or use --out"
            ) from error

    def close(self) -> None:
        """Flush and close, even when flushing fails."""
        try:
            self.flush()
        finally:
            self._file.close()


def read(run: Path, kind: type[R]) -> list[R]:
    """All records of one kind, in the order they were written. A missing file has none.

    Raises SpecError with file and line.
    """
    return [record for _, record in read_numbered(run, kind)]


def read_numbered(run: Path, kind: type[R]) -> Iterator[tuple[int, R]]:
    """As `read`, but lazily, each record with its line number."""
    path = run / FILES[kind]
    for block in read_blocks(path):
        yield from parse_block(block, kind, path)


def parse_block(block: Block, kind: type[R], path: Path) -> Iterator[tuple[int, R]]:
    """The records of a block of this file, with line numbers. Raises SpecError with file and line."""
    for number, text in block.lines():
        if len(text) > MAX_LINE:
            raise damage_error(path, f"a line of more than {MAX_LINE >> 20} MiB", number)
        try:
            yield number, validate(kind, parse_json(text))
        except ValueError as error:
            raise damage_error(path, str(error), number) from None


def follow(run: Path, kind: type[R], position: Position = START) -> tuple[list[R], Position]:
    """The records after `position`, and the position after them. For reading a file while it is written."""
    path, found = run / FILES[kind], []
    for block in read_blocks(path, position):
        found += [record for _, record in parse_block(block, kind, path)]
        position = Position(position.offset + len(block.data), position.number + block.data.count(b"\n"))
    return found, position


def _fields(record: Record) -> dict[str, Any]:
    return {name: getattr(record, name) for name in _NAMES[type(record)]}


def _number(value: int | None) -> str:
    return "null" if value is None else str(value)
