"""The formats in which the result of a search for a limit is shown."""

from __future__ import annotations

from functools import partial
from typing import BinaryIO
from xml.etree import ElementTree as Xml

from chaoskit.analysis.limits.limit_result import LimitResult, LimitSearch, as_json, is_limit_folder, load_limit
from chaoskit.report import limit_markdown
from chaoskit.report.documents import Document, Documents
from chaoskit.report.junit_text import attribute, content, count, document, outcome
from chaoskit.report.limit_console import headline, render, said, said_of
from chaoskit.report.limit_tables import label


def _plot(kind: str, found: LimitResult, file: BinaryIO) -> None:
    from chaoskit.report.plots import figures, limit_figure  # here, not at the top: they load an extra

    figures.save(limit_figure.figure(found), file, kind)


def _junit(found: LimitResult, file: BinaryIO) -> None:
    """A case for each search, and an error for what ended all of it: runs that failed, or an interruption."""
    cases = [_case(found, search) for search in found.searches]
    if found.error_code is not None or found.status == "interrupted":
        cases.append(Xml.Element("testcase", classname=attribute(found.name), name="the runs of the search"))
        kind = "interrupted" if found.status == "interrupted" else "error"
        outcome(cases[-1], "error", kind, found.detail)
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


LIMIT_DOCUMENTS = Documents(
    kind="a search for a limit",
    is_folder=is_limit_folder,
    load=load_limit,
    render=render,
    line=lambda found: f"{headline(found)}, {said(found)}",
    as_json=as_json,
    others={
        "markdown": Document("report.md", limit_markdown.write),
        "junit": Document("junit.xml", _junit),
        "png": Document("limit.png", partial(_plot, "png"), is_text=False),
        "svg": Document("limit.svg", partial(_plot, "svg")),
    },
)
