"""Reads tokens and signs of life into columns: a few arrays for a whole run, read block by block.

Rules: tokens are sorted by stream, and within a stream as they were written. A column is 32 bits wide where its numbers
allow it. A block whose every line has the form that `Log` writes is parsed at once; any other block is read line by
line, which also finds an invalid line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from chaoskit.records.jsonl import FILES, parse_block
from chaoskit.records.model import KINDS, TOKENS, Keepalives, SocketRead
from chaoskit.records.untrusted_files import MAX_NUMBER, Block, read_blocks

Ints = NDArray[np.integer[Any]]
Bools = NDArray[np.bool_]

UNKNOWN = -(2**31)
"""A stamp that the server did not give, in `due_ago` and `sent_ago`."""
_MAX_SIZE = 2**16 - 1  # bytes of a read that are distinguished: no segment is longer
_HEAD, _EVENT, _SIGNS = 6, 4, 11  # numbers of a read before its events, of an event, of a run of signs of life
_KEPT = [0, 2, 3, 5]  # of signs: stream, first, last, largest
_MISSING = -1  # where a line says null
_SPACES = bytes.maketrans(b"[],\n", b"    ")

R = TypeVar("R", SocketRead, Keepalives)


class Tokens(NamedTuple):
    """A row for each token. `at` as in `SocketRead`, ns; `read_delay` is how much later the probe had read it, ns.

    `looked_ago` is how long before `at` the probe had last found nothing there, ns; `due_ago` and `sent_ago` how long
    before it the reference server meant to send it and sent it, ns; `size` is the bytes of its read, at most 65,535.
    """

    stream: Ints
    read: Ints
    at: Ints
    read_delay: Ints
    looked_ago: Ints
    due_ago: Ints
    sent_ago: Ints
    size: Ints

    @property
    def server_lateness(self) -> Ints:
        """How late the server sent each token, ns, without tokens that have no stamps."""
        known = (self.due_ago != UNKNOWN) & (self.sent_ago != UNKNOWN)
        late: Ints = np.subtract(self.due_ago[known], self.sent_ago[known], dtype=np.int64)
        return late


@dataclass(frozen=True)
class SignsOfLife:
    """Runs of signs of life, unordered: the stamps of the first and last read, and the bytes of the largest."""

    stream: Ints
    first: Ints
    last: Ints
    largest: Ints


def read_tokens(run: Path) -> Tokens:
    """All tokens of a run. Raises SpecError with file and line."""
    columns = _Columns(_token_count(run / FILES[SocketRead]))
    for rows in _rows(run, SocketRead, _token_rows, _rows_of_reads):
        columns.add(_tokens(rows))
    return columns.sorted()


def _token_count(path: Path) -> int:
    """How many tokens a file of reads has, by its number of commas and lines."""
    lines = commas = 0
    for block in read_blocks(path):
        lines += block.data.count(b"\n")
        commas += block.data.count(b",")
    return max(0, commas - (_HEAD - 1) * lines) // _EVENT


def read_signs(run: Path) -> SignsOfLife:
    """All signs of life of a run. Raises SpecError with file and line."""
    return _signs(_rows(run, Keepalives, _sign_rows, _rows_of_signs))


def token_columns(reads: Iterable[SocketRead]) -> Tokens:
    """Tokens from records."""
    columns = _Columns(0)
    columns.add(_tokens(_rows_of_reads(reads)))
    return columns.sorted()


def signs_of_life(signs: Iterable[Keepalives]) -> SignsOfLife:
    """Signs of life from records."""
    return _signs([_rows_of_signs(signs)])


def _rows(
    run: Path,
    kind: type[R],
    parse: Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.int64] | None],
    from_records: Callable[[Iterable[R]], NDArray[np.int64]],
) -> Iterator[NDArray[np.int64]]:
    """A table of each block."""
    path = run / FILES[kind]
    for block in read_blocks(path):
        numbers = _numbers(block)
        rows = parse(*numbers) if numbers is not None else None
        yield from_records(record for _, record in parse_block(block, kind, path)) if rows is None else rows


def _numbers(block: Block) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """All numbers of a block and how many each line has; None unless each line is a list of integers and nulls."""
    data = block.data
    if b"-" in data:
        return None
    nulls = data.count(b"null")
    if nulls:
        data = data.replace(b",null", b",-1")
        if data.count(b"-1,") + data.count(b"-1]") != nulls:
            return None
    shape = data.translate(None, b"-0123456789")
    if shape.translate(None, b",") != b"[]\n" * data.count(b"\n"):
        return None
    values = np.fromstring(data.translate(_SPACES), dtype=np.int64, sep=" ")
    ends = np.flatnonzero(np.frombuffer(shape, dtype=np.uint8) == ord("\n"))
    counts = np.diff(ends, prepend=-1) - 2
    return (values, counts) if counts.sum() == len(values) and values.max() < MAX_NUMBER else None


def _token_rows(values: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """A row for each token: the six numbers of its read, then its own four; None if the lines are not reads."""
    events, rest = np.divmod(counts - _HEAD, _EVENT)
    if rest.any() or events.min() < 1:
        return None
    if events.max() == 1:
        rows = values.reshape(-1, _HEAD + _EVENT)
    else:
        begins = np.repeat(np.cumsum(counts) - counts, events)
        place = np.arange(len(begins)) - np.repeat(np.cumsum(events) - events, events)
        head = begins[:, None] + np.arange(_HEAD)
        own = begins[:, None] + _HEAD + place[:, None] * _EVENT + np.arange(_EVENT)
        rows = values[np.hstack((head, own))]
    is_valid = (rows[:, : _HEAD + 1].min() > _MISSING) and (rows[:, _HEAD].max() < len(TOKENS))
    return rows if is_valid else None


def _sign_rows(values: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64] | None:
    if (counts != _SIGNS).any() or values.min() == _MISSING:
        return None
    return values.reshape(-1, _SIGNS)


def _rows_of_reads(reads: Iterable[SocketRead]) -> NDArray[np.int64]:
    rows = [
        (*_head(read), KINDS.index(event.kind), *map(_number, (event.seq, event.due, event.sent)))
        for read in reads
        for event in read.events
        if event.kind in TOKENS
    ]
    return np.array(rows, dtype=np.int64).reshape(-1, _HEAD + _EVENT)


def _head(read: SocketRead) -> tuple[int, ...]:
    return read.stream, read.number, read.at, read.read_at, read.looked_at, read.size


def _number(stamp: int | None) -> int:
    return _MISSING if stamp is None else stamp


def _rows_of_signs(signs: Iterable[Keepalives]) -> NDArray[np.int64]:
    return np.array([astuple(each) for each in signs], dtype=np.int64).reshape(-1, _SIGNS)


def _tokens(rows: NDArray[np.int64]) -> Tokens:
    """The columns of a table of tokens."""
    stream, read, at, user, looked, size, _, _, due, sent = rows.T
    return Tokens(
        stream=narrow_dtype(stream),
        read=narrow_dtype(read),
        at=at.copy(),
        read_delay=narrow_dtype(user - at),
        looked_ago=narrow_dtype(np.maximum(at - looked, 0)),
        due_ago=narrow_dtype(np.where(due == _MISSING, UNKNOWN, at - due)),
        sent_ago=narrow_dtype(np.where(sent == _MISSING, UNKNOWN, at - sent)),
        size=np.minimum(size, _MAX_SIZE).astype(np.uint16),
    )


def first_sent(tokens: Tokens, bounds: Sequence[int]) -> Mapping[int, int]:
    """The server's stamp of each stream's first token, ns, where it has one."""
    rows = [first for first, after in pairwise(bounds) if after > first]
    ago = tokens.sent_ago[rows]
    stamps = zip(tokens.stream[rows].tolist(), (tokens.at[rows] - ago).tolist(), (ago != UNKNOWN).tolist(), strict=True)
    return {stream: sent for stream, sent, is_known in stamps if is_known}


def narrow_dtype(column: NDArray[np.int64]) -> Ints:
    """A copy in 32 bits, if its numbers allow it."""
    if not len(column) or (column.min() >= -(2**31) and column.max() < 2**31):
        return column.astype(np.int32)
    return column.copy()


class _Columns:
    """Collects the columns of tokens table by table. A column is 32 bits wide until a number needs more."""

    def __init__(self, room: int) -> None:
        """With room for so many tokens; memory is used only when it is written to."""
        self._count = 0
        self._columns = [np.empty(room, dtype=column.dtype) for column in _tokens(_rows_of_reads(()))]

    def add(self, tokens: Tokens) -> None:
        """Append these tokens."""
        after = self._count + len(tokens.at)
        for index, new in enumerate(tokens):
            column = self._columns[index]
            if after > len(column):
                column = np.concatenate((column, np.empty(after, dtype=column.dtype)))
            if new.dtype.itemsize > column.dtype.itemsize:
                column = column.astype(new.dtype)
            column[self._count : after] = new
            self._columns[index] = column
        self._count = after

    def sorted(self) -> Tokens:
        """All tokens, by stream. Frees each column as it is sorted: columns are large."""
        order: NDArray[np.int64] | None = None
        found: list[Ints] = []
        while self._columns:
            column = self._columns.pop(0)[: self._count]
            if not found and (column[1:] < column[:-1]).any():
                order = np.argsort(column, kind="stable")
            found.append(column if order is None else column[order])
        return Tokens(*found)


def _signs(tables: Iterable[NDArray[np.int64]]) -> SignsOfLife:
    kept = [rows[:, _KEPT] for rows in tables]
    return SignsOfLife(*np.concatenate([np.empty((0, len(_KEPT)), dtype=np.int64), *kept]).T)
