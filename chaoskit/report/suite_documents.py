"""Writes the result of a suite as a document, in the formats that a suite has."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from chaoskit.analysis.suite_result import SuiteResult, as_json
from chaoskit.report.screen import Screen
from chaoskit.report.suite import render

_WIDTH = 100  # columns


@dataclass(frozen=True)
class Document:
    """A format: its file in the folder of a suite, and how it is written."""

    file: str
    write: Callable[[SuiteResult, BinaryIO], None]


def _console(suite: SuiteResult, file: BinaryIO) -> None:
    text = io.TextIOWrapper(file, "utf-8", "backslashreplace", write_through=True)
    render(suite, Screen(text, _WIDTH))
    text.detach()


def _json(suite: SuiteResult, file: BinaryIO) -> None:
    file.write(as_json(suite).encode("ascii"))


DOCUMENTS = {"console": Document("report.txt", _console), "json": Document("report.json", _json)}
"""By the name of the format, as for runs."""
