"""Writes the result of a suite as a document, in the formats that a suite has."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from chaoskit.analysis.suite_result import SuiteResult, as_json
from chaoskit.errors import RefusedError, SpecError
from chaoskit.folder import display_path
from chaoskit.report import suite_junit, suite_markdown, suite_metrics
from chaoskit.report.formats.destinations import replace_file
from chaoskit.report.html import suite_page
from chaoskit.report.screen import Screen
from chaoskit.report.suite import render
from chaoskit.terminal import complain, note

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


DOCUMENTS = {
    "console": Document("report.txt", _console),
    "json": Document("report.json", _json),
    "markdown": Document("report.md", suite_markdown.write),
    "junit": Document("junit.xml", suite_junit.write),
    "html": Document("report.html", suite_page.write),
    "openmetrics": Document("metrics.txt", suite_metrics.write_openmetrics),
    "prometheus": Document("metrics.prom", suite_metrics.write_prometheus),
}
"""By the name of the format, as for runs."""


def writer(name: str, suite: SuiteResult, place: Path) -> Callable[[BinaryIO], None]:
    """What writes this format into a file of the folder `place`, from which links lead to the suite's folder."""
    if name != "html" or not suite.folder:
        return partial(DOCUMENTS[name].write, suite)
    way = os.path.relpath(suite.folder, place)
    return partial(suite_page.write, suite, to_folder="" if way == "." else way)


def write_documents(names: Sequence[str], suite: SuiteResult, folder: Path) -> None:
    """Write these into the suite's folder, and say so. The verdict counts without what cannot be written, too."""
    for name in names:
        document = DOCUMENTS[name]
        path = folder / document.file
        try:
            replace_file(path, document.file, partial(document.write, suite))
        except (SpecError, RefusedError) as error:
            complain(f"no {document.file}: {error}")
        else:
            note(f"wrote {display_path(path)}")
