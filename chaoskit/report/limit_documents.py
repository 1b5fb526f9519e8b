"""Writes the result of a search for a limit as a document, in the formats that it has."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO
from xml.etree import ElementTree as Xml

from chaoskit.analysis.limits.limit_result import LimitResult, LimitSearch, as_json
from chaoskit.report.junit_text import attribute, count, document, outcome
from chaoskit.report.limit import gate, headline, label, render, sentence
from chaoskit.report.screen import Screen

_WIDTH = 100  # columns


@dataclass(frozen=True)
class Document:
    """A format: the file that it usually is, and how it is written."""

    file: str
    write: Callable[[LimitResult, BinaryIO], None]


def _console(found: LimitResult, file: BinaryIO) -> None:
    text = io.TextIOWrapper(file, "utf-8", "backslashreplace", write_through=True)
    render(found, Screen(text, _WIDTH))
    text.detach()


def _json(found: LimitResult, file: BinaryIO) -> None:
    file.write(as_json(found).encode("ascii"))


def _junit(found: LimitResult, file: BinaryIO) -> None:
    cases = [_case(found, search) for search in found.searches]
    if found.error_code is not None:
        cases.append(Xml.Element("testcase", classname=attribute(found.name), name="the runs of the search"))
        outcome(cases[-1], "error", "error", found.detail)
    whole = Xml.Element("testsuite", name=attribute(found.name), tests=str(len(cases)))
    count(whole, cases)
    whole.set("time", f"{found.seconds:.3f}")
    whole.set("timestamp", attribute(found.started))
    properties = Xml.SubElement(whole, "properties")
    said = "; ".join(filter(None, (_said(found, search) for search in found.searches)))
    for key, value in {"headline": f"{headline(found)}: {said}", "exit-code": str(found.exit_code)}.items():
        Xml.SubElement(properties, "property", name=key, value=attribute(value))
    whole.extend(cases)
    file.write(document([whole]))


def _case(found: LimitResult, search: LimitSearch) -> Xml.Element:
    name = f"limit of {found.path}" + (f" at {label(search)}" if search.at else "")
    seconds = sum(run.seconds for run in search.runs)
    case = Xml.Element("testcase", classname=attribute(found.name), name=attribute(name), time=f"{seconds:.3f}")
    said = _said(found, search)
    match search.exit_code:
        case 1:
            outcome(case, "failure", "broken", said)
        case 5:
            outcome(case, "skipped", "undecided", said)
        case _:
            Xml.SubElement(case, "system-out").text = attribute(said)
    return case


def _said(found: LimitResult, search: LimitSearch) -> str:
    at = f"{label(search)}: " if search.at else ""
    return "; ".join(filter(None, (f"{at}{sentence(found, search)}", gate(found, search))))


DOCUMENTS = {
    "console": Document("report.txt", _console),
    "json": Document("report.json", _json),
    "junit": Document("junit.xml", _junit),
}
"""By the name of the format, as for runs."""
