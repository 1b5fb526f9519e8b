"""Writes the tables of runs as files: a folder, an archive, or one table alone.

Rules: a file has the same columns whatever the run; a run without rows has the header. Before them stand a column
`run` of several runs, `variant` of a matrix, `workload` of a lab with several, empty for the measured one; the rows of
each follow one another. One run at a time is in memory.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, NamedTuple, Protocol, cast
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from chaoskit.analysis.matrix import MatrixResult
from chaoskit.analysis.tables.run_tables import RunTables
from chaoskit.analysis.tables.table import Column, Table, TableSchema
from chaoskit.analysis.tables.table_columns import SCHEMAS, STALLS, STREAMS, TOKENS
from chaoskit.report.formats.source import Source

_IN_MEMORY = 16 << 20  # bytes of a table of an archive
_RUN = Column("run", "text", "", "The run directory: as many of its last parts as tell it from the others.")
_VARIANT = Column("variant", "text", "", "The variant of the matrix.")
_WORKLOAD = Column("workload", "text", "", "The workload; empty for the measured one.")
_NAMES = tuple(schema.name for schema in SCHEMAS)
_OF_WORKLOADS = (STREAMS.name, TOKENS.name, STALLS.name)


class TableFile(Protocol):
    """A file of one table, which grows by the rows of one run after another."""

    def add(self, labels: Sequence[str], table: Table) -> None:
        """Append these rows, with the values of the columns before them."""

    def close(self) -> None:
        """Write what is left. Leaves the file open."""


@dataclass(frozen=True)
class TableFormat:
    """How a table becomes a file: the end of its name, and what begins one, with some columns before the table's."""

    suffix: str
    begin: Callable[[TableSchema, Sequence[Column], BinaryIO], TableFile]
    is_text: bool


def write_tables(form: TableFormat, sources: Sequence[Source], files: Mapping[str, BinaryIO]) -> None:
    """Write tables of these runs, each into the file of its name."""
    is_matrix = any(isinstance(source.found, MatrixResult) for source in sources)
    needed = {_RUN: len(sources) > 1, _VARIANT: is_matrix, _WORKLOAD: _has_workloads(sources)}
    before = [column for column, is_needed in needed.items() if is_needed]
    schemas = {schema.name: schema for schema in SCHEMAS}
    open_files = {name: form.begin(schemas[name], before, file) for name, file in files.items()}
    for part in _parts(sources):
        for name in open_files.keys() & set(part.names):
            open_files[name].add([part.labels[column.name] for column in before], part.tables[name])
    for each in open_files.values():
        each.close()


def write_archive(form: TableFormat, sources: Sequence[Source], file: BinaryIO) -> None:
    """Write all of them into a zip archive."""
    with ExitStack() as opened, ZipFile(file, "w") as archive:
        drafts = {each.name: opened.enter_context(SpooledTemporaryFile(_IN_MEMORY)) for each in SCHEMAS}
        write_tables(form, sources, cast("Mapping[str, BinaryIO]", drafts))
        for name, draft in drafts.items():
            draft.seek(0)
            member = ZipInfo(f"{name}{form.suffix}")  # of 1980: the same run gives the same archive
            member.compress_type = ZIP_DEFLATED
            with archive.open(member, "w", force_zip64=True) as packed:
                shutil.copyfileobj(draft, packed)


class _Part(NamedTuple):
    """The tables of one workload of one run, and the values of the columns before them."""

    labels: Mapping[str, str]
    tables: RunTables
    names: Collection[str]


def _parts(sources: Sequence[Source]) -> Iterator[_Part]:
    """Those of each run that has a result; of other workloads only the tables that are their own."""
    for source in sources:
        for run in source.runs:
            if run.result is not None:
                labels = {_RUN.name: source.label or str(source.path), _VARIANT.name: run.variant}
                yield _Part({**labels, _WORKLOAD.name: ""}, run.tables, _NAMES)
                for name, tables in run.tables.workloads.items():
                    yield _Part({**labels, _WORKLOAD.name: name}, tables, _OF_WORKLOADS)


def _has_workloads(sources: Sequence[Source]) -> bool:
    results = [run.result for source in sources for run in source.runs if run.result is not None]
    return any(result.workloads for result in results)
