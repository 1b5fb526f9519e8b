"""Writes the tables of runs as CSV by RFC 4180: UTF-8, a header, CRLF; what lacks is an empty cell.

A spreadsheet would compute a text that begins like a formula, and many ignore quotes: such a text gets an apostrophe
before it. Control characters and what else nobody sees are escapes, as on a terminal.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any, BinaryIO

from chaoskit.analysis.tables.table import Column, Table, TableSchema
from chaoskit.report.formats.source import Source
from chaoskit.report.formats.table_files import TableFormat, write_archive
from chaoskit.terminal import printable

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
"""https://owasp.org/www-community/attacks/CSV_Injection; spreadsheets take the full-width signs for the others."""
_WORDS = {True: "true", False: "false"}


class _CsvFile:
    """A CSV file that grows."""

    def __init__(self, schema: TableSchema, before: Sequence[Column], file: BinaryIO) -> None:
        self._text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=False)
        self._lines = csv.writer(self._text)
        self._lines.writerow([column.name for column in (*before, *schema.columns)])

    def add(self, labels: Sequence[str], table: Table) -> None:
        """Append these rows."""
        columns = [_cells(table, column) for column in table.schema.columns]
        if labels:
            first = [cell(label) for label in labels]
            self._lines.writerows([*first, *row] for row in zip(*columns, strict=True))
        else:
            self._lines.writerows(zip(*columns, strict=True))

    def close(self) -> None:
        """Write what is left."""
        self._text.flush()
        self._text.detach()


def cell(text: str) -> str:
    """A text as a cell that no spreadsheet computes."""
    shown = printable(text)
    return f"'{shown}" if text.startswith(_FORMULA) else shown


def _cells(table: Table, column: Column) -> list[Any]:
    values: list[Any] = table[column.name].tolist()
    match column.kind:
        case "text":
            return list(map(cell, values))
        case "bool":
            return [_WORDS[value] for value in values]
    return values


FORMAT = TableFormat(".csv", _CsvFile, is_text=True)


def write_all(sources: Sequence[Source], file: BinaryIO) -> None:
    """Write all tables of these runs into a zip archive."""
    write_archive(FORMAT, sources, file)
