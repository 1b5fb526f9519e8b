"""Writes untrusted text into JUnit XML, and what all its suites have in common.

Characters that XML 1.0 forbids are shown as escapes; the library escapes what is markup.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as Xml

from chaoskit.terminal import printable_begin, printable_lines

_MOST_LINE, _MOST_TEXT = 2000, 200_000  # characters


def document(suites: Sequence[Xml.Element]) -> bytes:
    """The suites as one document."""
    top = Xml.Element("testsuites", name="chaoskit")
    for name in ("tests", "failures", "errors"):
        top.set(name, str(sum(int(suite.get(name, 0)) for suite in suites)))
    top.set("time", f"{sum(float(suite.get('time', 0)) for suite in suites):.3f}")
    top.extend(suites)
    Xml.indent(top)
    text: bytes = Xml.tostring(top, "utf-8", xml_declaration=True)
    return text + b"\n"


def count(suite: Xml.Element, cases: Sequence[Xml.Element]) -> None:
    """Give a suite the numbers of its cases by their ends."""
    for name, element in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(name, str(sum(case.find(element) is not None for case in cases)))


def outcome(case: Xml.Element, kind: str, type_: str, message: str, text: str = "") -> None:
    """How a case ended: `failure`, `error` or `skipped`. One without has passed."""
    Xml.SubElement(case, kind, type=type_, message=attribute(message)).text = content(text or message)


def attribute(text: str) -> str:
    """A text on one line, of a bounded length."""
    return printable_begin(text, _MOST_LINE)


def content(text: str) -> str:
    """A text of several lines, of a bounded length."""
    shown = printable_lines(text[:_MOST_TEXT])
    return shown if len(text) <= _MOST_TEXT else f"{shown}\n... {len(text) - _MOST_TEXT} more characters"
