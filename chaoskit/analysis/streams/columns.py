"""Tokens and signs of life by column: a few arrays for a whole run, read from its files block by block.

Rules: tokens are sorted by stream, and within a stream as they were written. A column takes half the room where its
numbers allow it. A block whose every line looks as `Log` writes it is turned into numbers at once; any other block is
read line by line, which also finds the line that is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import astuple, dataclass
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
"""Of a stamp that the server did not give, in `due_ago` and `sent_ago`."""
_LARGEST = 2**16 - 1  # bytes of a read that are told apart: no segment is longer
_HEAD, _EVENT, _SIGNS = 5, 4, 11  # numbers of a read before its events, of an event, of signs
_KEPT = [0, 2, 3, 5]  # of signs: stream, first, last, largest
_MISSING = -1  # where a line says null
_SPACES = bytes.maketrans(b"[],\n", b"    ")

R = TypeVar("R", SocketRead, Keepalives)


class Tokens(NamedTuple):
    """A row for each. `at` as in `SocketRead`, ns; `held` how much later we had it.

    `due_ago` and `sent_ago` are how long before `at` the reference server meant to send it and did, ns; `size` are the
    bytes of its read, as far as 65,535.
    """

    stream: Ints
    read: Ints
    at: Ints
    held: Ints
    due_ago: Ints
    sent_ago: Ints
    size: Ints

    @property
    def late(self) -> Ints:
        """How late the server sent each token, ns; those without stamps are left out."""
        known = (self.due_ago != UNKNOWN) & (self.sent_ago != UNKNOWN)
        late: Ints = np.subtract(self.due_ago[known], self.sent_ago[known], dtype=np.int64)
        return late


@dataclass(frozen=True)
class SignsOfLife:
    """By run of signs, in no order: the stamps of its first and last read, and the bytes of its largest."""

    stream: Ints
    first: Ints
    last: Ints
    largest: Ints


def read_tokens(run: Path) -> Tokens:
    """All of a run's. Raises SpecError with file and line."""
    columns = _Columns(_room(run / FILES[SocketRead]))
    for rows in _rows(run, SocketRead, _are_tokens, _of_reads):
        columns.add(_tokens(rows))
    return columns.sorted()


def _room(path: Path) -> int:
    """How many tokens a file of reads has: those of one read are separated by commas from it, and in themselves."""
    lines = commas = 0
    for block in read_blocks(path):
        lines += block.data.count(b"\n")
        commas += block.data.count(b",")
    return max(0, commas - (_HEAD - 1) * lines) // _EVENT


def read_signs(run: Path) -> SignsOfLife:
    """All of a run's. Raises SpecError with file and line."""
    return _signs(_rows(run, Keepalives, _are_signs, _of_signs))


def tokens_of(reads: Iterable[SocketRead]) -> Tokens:
    """The same from records."""
    columns = _Columns(0)
    columns.add(_tokens(_of_reads(reads)))
    return columns.sorted()


def signs_of(signs: Iterable[Keepalives]) -> SignsOfLife:
    """The same from records."""
    return _signs([_of_signs(signs)])


def _rows(
    run: Path,
    kind: type[R],
    are_right: Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.int64] | None],
    of: Callable[[Iterable[R]], NDArray[np.int64]],
) -> Iterator[NDArray[np.int64]]:
    """A table of each block."""
    path = run / FILES[kind]
    for block in read_blocks(path):
        numbers = _numbers(block)
        rows = are_right(*numbers) if numbers is not None else None
        yield of(record for _, record in parse_block(block, kind, path)) if rows is None else rows


def _numbers(block: Block) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """All numbers of a block and how many each line has; None unless each line is a list of digits and nulls."""
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


def _are_tokens(values: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """A row for each token: the five numbers of its read, then its own four; None if they are none."""
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
    is_right = (rows[:, : _HEAD + 1].min() > _MISSING) and (rows[:, _HEAD].max() < len(TOKENS))
    return rows if is_right else None


def _are_signs(values: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64] | None:
    if (counts != _SIGNS).any() or values.min() == _MISSING:
        return None
    return values.reshape(-1, _SIGNS)


def _of_reads(reads: Iterable[SocketRead]) -> NDArray[np.int64]:
    rows = [
        (*_head(read), KINDS.index(event.kind), *map(_or_missing, (event.seq, event.due, event.sent)))
        for read in reads
        for event in read.events
        if event.kind in TOKENS
    ]
    return np.array(rows, dtype=np.int64).reshape(-1, _HEAD + _EVENT)


def _head(read: SocketRead) -> tuple[int, ...]:
    return read.stream, read.number, read.at, read.read_at, read.size


def _or_missing(stamp: int | None) -> int:
    return _MISSING if stamp is None else stamp


def _of_signs(signs: Iterable[Keepalives]) -> NDArray[np.int64]:
    return np.array([astuple(each) for each in signs], dtype=np.int64).reshape(-1, _SIGNS)


def _tokens(rows: NDArray[np.int64]) -> Tokens:
    """The columns of a table."""
    stream, read, at, user, size, _, _, due, sent = rows.T
    return Tokens(
        stream=narrow(stream),
        read=narrow(read),
        at=at.copy(),
        held=narrow(user - at),
        due_ago=narrow(np.where(due == _MISSING, UNKNOWN, at - due)),
        sent_ago=narrow(np.where(sent == _MISSING, UNKNOWN, at - sent)),
        size=np.minimum(size, _LARGEST).astype(np.uint16),
    )


def narrow(column: NDArray[np.int64]) -> Ints:
    """A copy in half the room, if its numbers allow it."""
    if not len(column) or (column.min() >= -(2**31) and column.max() < 2**31):
        return column.astype(np.int32)
    return column.copy()


class _Columns:
    """The columns of tokens that come table by table. A column is 32 bits wide until a number needs more."""

    def __init__(self, room: int) -> None:
        """With room for so many tokens, of which the kernel gives what is written to."""
        self._count = 0
        self._columns = [np.empty(room, dtype=column.dtype) for column in _tokens(_of_reads(()))]

    def add(self, tokens: Tokens) -> None:
        """All of these."""
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
        """All, by stream. Leaves nothing behind, for columns are large."""
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
