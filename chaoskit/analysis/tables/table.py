"""Defines a table: named numpy columns of one length, with their units and meaning."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chaoskit.errors import unknown_name

if TYPE_CHECKING:
    import pandas

Kind = Literal["int64", "int32", "float64", "bool", "text"]
Unit = Literal["", "ns", "us", "bytes", "bytes/s", "packets", "segments", "tokens"]


class Column(NamedTuple):
    """What a column holds. A number that `may_lack` is masked in rows without one; a text is empty there."""

    name: str
    kind: Kind
    unit: Unit
    meaning: str
    may_lack: bool = False


class TableSchema(NamedTuple):
    """The columns of a table, and what a row of it is."""

    name: str
    row: str
    columns: tuple[Column, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Table:
    """Columns by name, all of one length.

    A column is a numpy array; one whose numbers may lack is a `numpy.ma.MaskedArray`; text is an array of `str`.
    """

    schema: TableSchema
    columns: Mapping[str, NDArray[Any]]

    @classmethod
    def of(cls, schema: TableSchema, columns: Mapping[str, Sequence[Any] | NDArray[Any]]) -> Table:
        """With these columns, all of the schema's and no other. In a list, None stands for what lacks."""
        if extra := columns.keys() ^ {column.name for column in schema.columns}:
            raise KeyError(f"{schema.name}: {extra}")
        return cls(schema, {column.name: _array(column, columns[column.name]) for column in schema.columns})

    @classmethod
    def of_rows(cls, schema: TableSchema, rows: Iterable[Sequence[Any]]) -> Table:
        """With these rows, in the order of the schema's columns."""
        every = list(rows)
        columns = zip(*every, strict=True) if every else [()] * len(schema.columns)
        return cls.of(schema, dict(zip((column.name for column in schema.columns), columns, strict=True)))

    @property
    def name(self) -> str:
        """The table's name."""
        return self.schema.name

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its columns, in order."""
        return tuple(self.columns)

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self.columns:
            raise unknown_name(f"column of {self.name}", name, self.names)
        return self.columns[name]

    def __repr__(self) -> str:
        return f"Table({self.name}: {len(self)} rows of {', '.join(self.names)})"

    def mask(self, name: str) -> NDArray[np.bool_] | None:
        """Where a column lacks a number; None for one that never does."""
        column = self.columns[name]
        return np.ma.getmaskarray(column) if isinstance(column, np.ma.MaskedArray) else None

    def data(self, name: str) -> NDArray[Any]:
        """A column as a plain array, with any number where one lacks."""
        return np.ma.getdata(self.columns[name])

    def __len__(self) -> int:
        return len(self.columns[self.schema.columns[0].name])

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Its rows as Python values, None for what lacks."""
        return zip(*(column.tolist() for column in self.columns.values()), strict=True)

    def to_pandas(self) -> pandas.DataFrame:
        """As a data frame; what lacks is `pandas.NA`. Needs pandas."""
        import pandas

        return pandas.DataFrame({name: _series(column) for name, column in self.columns.items()})


def _array(column: Column, values: Sequence[Any] | NDArray[Any]) -> NDArray[Any]:
    if isinstance(values, np.ndarray):
        return values.astype(object if column.kind == "text" else column.kind, copy=False)
    if column.kind == "text":
        found = np.empty(len(values), dtype=object)
        found[:] = ["" if value is None else value for value in values]
        return found
    if not column.may_lack:
        return np.array(values, dtype=column.kind)
    filled = [0 if value is None else value for value in values]
    lacks = [value is None for value in values]
    return np.ma.MaskedArray(np.array(filled, dtype=column.kind), mask=np.array(lacks, dtype=np.bool_))


def _series(column: NDArray[Any]) -> Any:
    if not isinstance(column, np.ma.MaskedArray):
        return column
    import pandas

    mask = np.ma.getmaskarray(column)
    if column.dtype.kind == "f":
        return pandas.arrays.FloatingArray(column.filled(0), mask)
    return pandas.arrays.IntegerArray(column.filled(0), mask)
