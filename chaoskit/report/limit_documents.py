"""Writes the result of a search for a limit as a document, in the formats that it has."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO
from xml.etree import ElementTree as Xml

from chaoskit.analysis.limits.limit_result import LimitResult, LimitSearch, as_json
from chaoskit.errors import RefusedError, SpecError
from chaoskit.report import limit_markdown
from chaoskit.report.junit_text import attribute, content, count, document, outcome
from chaoskit.report.limit_console import headline, render, said, said_of
from chaoskit.report.limit_tables import label
from chaoskit.report.screen import Screen

_WIDTH = 100  # columns


@dataclass(frozen=True)
class Document:
    """A format: the file that it usually is, how it is written, and whether it is text."""

    file: str
    write: Callable[[LimitResult, BinaryIO], None]
    is_text: bool = True


def _console(found: LimitResult, file: BinaryIO) -> None:
    text = io.TextIOWrapper(file, "utf-8", "backslashreplace", write_through=True)
    render(found, Screen(text, _WIDTH))
    text.detach()


def _json(found: LimitResult, file: BinaryIO) -> None:
    file.write(as_json(found).encode("ascii"))


def _plot(kind: str, found: LimitResult, file: BinaryIO) -> None:
    try:
        from chaoskit.report.plots import figures, limit_figure  # here, not at the top: they load an extra
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        raise RefusedError("plots need matplotlib: pip install 'chaoskit[plots]'") from None

    figures.save(limit_figure.figure(found), file, kind)


def _junit(found: LimitResult, file: BinaryIO) -> None:
    """A case for each search, and an error for runs that ended all of it."""
    cases = [_case(found, search) for search in found.searches]
    if found.error_code is not None:
        cases.append(Xml.Element("testcase", classname=attribute(found.name), name="the runs of the search"))
        outcome(cases[-1], "error", "error", found.detail)
    whole = Xml.Element("testsuite", name=attribute(found.name), tests=str(len(cases)))
    count(whole, cases)
    whole.set("time", f"{found.seconds:.3f}")
    whole.set("timestamp", attribute(found.started))
    properties = Xml.SubElement(whole, "properties")
    for key, value in {"headline": f"{headline(found)}: {said(found)}", "exit-code": str(found.exit_code)}.items():
        Xml.SubElement(properties, "property", name=key, value=attribute(value))
    whole.extend(cases)
    file.write(document([whole]))


def _case(found: LimitResult, search: LimitSearch) -> Xml.Element:
    name = f"limit of {found.path}" + (f" at {label(search)}" if search.at else "")
    seconds = sum(run.seconds for run in search.runs)
    case = Xml.Element("testcase", classname=attribute(found.name), name=attribute(name), time=f"{seconds:.3f}")
    text = said_of(found, search)
    match search.exit_code:
        case 1:
            outcome(case, "failure", "broken", text)
        case 5:
            outcome(case, "skipped", "undecided", text)
        case _:
            Xml.SubElement(case, "system-out").text = content(text)
    return case


DOCUMENTS = {
    "console": Document("report.txt", _console),
    "json": Document("report.json", _json),
    "markdown": Document("report.md", limit_markdown.write),
    "junit": Document("junit.xml", _junit),
    "png": Document("limit.png", partial(_plot, "png"), is_text=False),
    "svg": Document("limit.svg", partial(_plot, "svg")),
}
"""By the name of the format, as for runs."""


def document_of(name: str) -> Document:
    """The format of this name. Raises SpecError where a search has it not."""
    if name not in DOCUMENTS:
        raise SpecError(f"--format: found {name!r}, and a search for a limit has {', '.join(DOCUMENTS)}")
    return DOCUMENTS[name]
