"""Records as lines of JSON: appended whole, read back without a torn last line.

Rules: a line is one record; a line is written with one write(2); a torn last line is dropped when reading
and never glued to; a torn line elsewhere means that the file was edited, and is an error.
"""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path
from typing import Any, TypeVar

from chaoskit.errors import RefusedError
from chaoskit.folder import display_path
from chaoskit.records.model import Counters, Event, Hop, Phase, Read, Record, Request, Served, TcpInfo, Unacked, Vitals

R = TypeVar("R", Phase, Request, Read, TcpInfo, Vitals, Served, Unacked, Counters, Hop)

FILES: dict[type[Record], str] = {
    Phase: "phases.jsonl",
    Request: "requests.jsonl",
    Read: "tokens.jsonl",
    TcpInfo: "tcp_info.jsonl",
    Vitals: "vitals.jsonl",
    Served: "served.jsonl",
    Unacked: "unacked.jsonl",
    Counters: "counters.jsonl",
    Hop: "hops.jsonl",
}


def line(record: Record) -> str:
    """One record as one line of JSON, newline included."""
    match record:
        case Read():  # thousands a second: columns instead of keys
            events = ",".join(
                f'["{e.kind}",{_n(e.seq)},{_n(e.due)},{_n(e.sent)}]' if e.seq is not None else f'["{e.kind}"]'
                for e in record.events
            )
            return f"[{record.stream},{record.read},{record.at},{record.user},{record.size},[{events}]]\n"
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
    """All records of one kind, in the order they were written. A file that is not there holds none."""
    return list(follow(run, kind, 0)[0])


def follow(run: Path, kind: type[R], offset: int) -> tuple[list[R], int]:
    """The whole lines after byte `offset`, and the offset after them. For looking on while a run writes."""
    path = run / FILES[kind]
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read()
    except FileNotFoundError:
        return [], offset
    end = data.rfind(b"\n") + 1
    return [_record(kind, text, path) for text in data[:end].splitlines()], offset + end


def _record(kind: type[R], text: bytes, path: Path) -> R:
    try:
        raw = json.loads(text)
        if kind is Read:
            stream, number, at, user, size, events = raw
            return Read(stream, number, at, user, size, tuple(Event(*e) for e in events))  # type: ignore[return-value]
        if kind is Phase:
            raw["faults"] = tuple(raw["faults"])
        return kind(**raw)
    except (ValueError, TypeError, KeyError) as error:
        raise RefusedError(f"{path} holds a line that is no {kind.__name__} record: {text[:80]!r}") from error


def _fields(record: Record) -> dict[str, Any]:
    return {f.name: getattr(record, f.name) for f in dataclasses.fields(record)}


def _n(value: int | None) -> str:
    return "null" if value is None else str(value)
