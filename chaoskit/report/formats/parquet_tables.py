"""Writes the tables of runs as Parquet files, with units and meanings as metadata."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from chaoskit import __version__
from chaoskit.analysis.tables.table import Column, Table, TableSchema
from chaoskit.report.formats.source import Source
from chaoskit.report.formats.table_files import TableFormat, write_archive
from chaoskit.terminal import printable

_ROWS = 1 << 20  # of a row group


class _ParquetFile:
    """A Parquet file that grows by row groups."""

    def __init__(self, schema: TableSchema, before: Sequence[Column], file: BinaryIO) -> None:
        about = {"chaoskit": __version__, "row": schema.row}
        self._schema = pa.schema([_field(column) for column in (*before, *schema.columns)], metadata=about)
        self._file = pq.ParquetWriter(file, self._schema, compression="zstd")

    def add(self, labels: Sequence[str], table: Table) -> None:
        """Append these rows."""
        first = [pa.array([printable(label)] * len(table)) for label in labels]
        columns = [_array(table, column) for column in table.schema.columns]
        self._file.write_table(pa.table([*first, *columns], schema=self._schema), row_group_size=_ROWS)

    def close(self) -> None:
        """Write the footer."""
        self._file.close()


def _field(column: Column) -> Any:
    kind = {"text": "string", "bool": "bool"}.get(column.kind, column.kind)
    told = {"meaning": column.meaning} | ({"unit": column.unit} if column.unit else {})
    return pa.field(column.name, pa.type_for_alias(kind), nullable=column.may_lack, metadata=told)


def _array(table: Table, column: Column) -> Any:
    values = table.data(column.name)
    if column.kind == "text":
        return pa.array([_encodable(text) for text in values.tolist()], type=pa.string())
    return pa.array(values, mask=table.mask(column.name))


def _encodable(text: str) -> str:
    """The exact text, but for what is no Unicode."""
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()


FORMAT = TableFormat(".parquet", _ParquetFile, is_text=False)


def write_all(sources: Sequence[Source], file: BinaryIO) -> None:
    """Write all tables of these runs into a zip archive."""
    write_archive(FORMAT, sources, file)
