"""Generates the tables of a file's fields from its classes: name, type, and the docstring below each field."""

from __future__ import annotations

import ast
import inspect
import itertools
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import get_args

from chaoskit.analysis.tables.table import TableSchema
from chaoskit.analysis.tables.table_columns import SCHEMAS
from chaoskit.records import jsonl, model
from chaoskit.records.model import Event, Record, SocketRead
from chaoskit.report.definitions import table as definitions_table
from chaoskit.report.result_schema import result_schema

TYPES = {
    "int": "integer",
    "int | None": "integer or null",
    "str": "text",
    "str | None": "text or null",
    "bool": "true or false",
    "tuple[str, ...]": "list of texts",
    "tuple[tuple[int, int, int, int, int], ...]": "lists of five integers",
    "dict[str, int]": "names with integers",
    "Completion": "[completion](objectives-and-metrics.md#how-a-stream-ends)",
}


def record_files() -> str:
    """A section for each `*.jsonl` of a run: what a line is, and its fields."""
    return "\n".join(_record_section(kind) for kind in get_args(Record))


def tables() -> str:
    """A section for each table of a run: what a row is, and its columns."""
    return "\n".join(_table_section(schema) for schema in SCHEMAS)


def _table_section(schema: TableSchema) -> str:
    lines = [
        f"| `{name}` | {kind}{', may lack' if may_lack else ''} | {unit} | {meaning} |"
        for name, kind, unit, meaning, may_lack in schema.columns
    ]
    return "\n".join(
        (f"### `{schema.name}`\n\n{schema.row}\n", "| column | type | unit | |", "|---|---|---|---|", *lines, "")
    )


def result_numbers() -> str:
    """Every number of result.json: its key, or the end of its path, and what it means."""
    drawn = result_schema()
    names = set(drawn["properties"])
    for part in drawn["$defs"].values():
        names |= set(part.get("properties", {}))
    rows = [(key, sentence) for key, sentence in definitions_table().items() if key.rpartition(".")[2] in names]
    return "\n".join(("| key | |", "|---|---|", *(f"| `{key}` | {sentence} |" for key, sentence in rows), ""))


def _record_section(kind: type) -> str:
    rows = list(_rows(sys.modules[kind.__module__], kind.__name__))
    if kind is SocketRead:
        rows = [*rows[:-1], *_rows(model, Event.__name__)]
    return f"### `{jsonl.FILES[kind]}`\n\n{_about(kind)}\n\n" + table(rows)


def table(rows: list[tuple[str, str, str]]) -> str:
    """A Markdown table of fields."""
    lines = [f"| `{name}` | {kind} | {sentence} |" for name, kind, sentence in rows]
    return "\n".join(("| field | type | |", "|---|---|---|", *lines, ""))


def _about(kind: type) -> str:
    """The docstring of a class in one paragraph for each of its own."""
    return inspect.cleandoc(kind.__doc__ or "")


def _rows(module: ModuleType, name: str) -> Iterator[tuple[str, str, str]]:
    """The fields of a class, with the docstring below each."""
    tree = ast.parse(inspect.getsource(module))
    body = next(each.body for each in tree.body if isinstance(each, ast.ClassDef) and each.name == name)
    for field, below in itertools.pairwise(body):
        if isinstance(field, ast.AnnAssign):
            assert isinstance(field.target, ast.Name)
            assert isinstance(below, ast.Expr), f"no docstring below {name}.{field.target.id}"
            assert isinstance(below.value, ast.Constant)
            yield (
                field.target.id,
                _type(module, ast.unparse(field.annotation)),
                " ".join(str(below.value.value).split()).replace("|", "\\|"),
            )


def _type(module: ModuleType, annotation: str) -> str:
    if annotation in TYPES:
        return TYPES[annotation]
    if annotation.startswith("Literal["):
        return ", ".join(f"`{value}`" for value in ast.literal_eval(annotation.removeprefix("Literal")))
    return ", ".join(f"`{value}`" for value in get_args(getattr(module, annotation, None))) or annotation
