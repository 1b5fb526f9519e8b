"""Writes a comparison of runs as JUnit XML: a case for each compared metric.

Rules: a regression is a failure; what is undecided is skipped with its reason, never passed.
"""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, indent, tostring

from chaoskit.analysis.run_comparison.result import Candidate, MetricChange, RunComparison
from chaoskit.report.run_comparison.words import change_in_words, headline, place, verdict_in_words
from chaoskit.terminal import printable


def junit(found: RunComparison) -> str:
    """The whole document."""
    suites = Element("testsuites", name=_safe(f"chaoskit compare {found.name}"))
    for candidate in found.candidates:
        _suite(suites, found, candidate)
    indent(suites)
    return tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _suite(suites: Element, found: RunComparison, candidate: Candidate) -> None:
    regressed = [each for each in candidate.changes if each.verdict == "regressed"]
    skipped = [each for each in candidate.changes if each.verdict == "undecided"]
    is_skipped = candidate.verdict == "undecided"
    suite = SubElement(
        suites,
        "testsuite",
        name=_safe(f"{candidate.name} against {found.reference_name}"),
        tests=str(len(candidate.changes) + 1),
        failures=str(len(regressed) + (candidate.verdict == "regressed")),
        errors="0",
        skipped=str(len(skipped) + is_skipped),
    )
    whole = SubElement(suite, "testcase", classname=_safe(found.name), name="no regression")
    if candidate.verdict == "regressed":
        SubElement(whole, "failure", message=_safe(candidate.reason), type="regressed")
    elif is_skipped:
        SubElement(whole, "skipped", message=_safe(candidate.reason))
    else:
        SubElement(whole, "system-out").text = _safe(f"{headline(candidate.verdict)}: {candidate.reason}")
    for each in candidate.changes:
        _case(suite, found, each)


def _case(suite: Element, found: RunComparison, change: MetricChange) -> None:
    name = f"{change.metric} {change.population}".strip()
    case = SubElement(suite, "testcase", classname=_safe(f"{found.name}.{place(change)}"), name=_safe(name))
    told = f"{change_in_words(change)}: {verdict_in_words(change)}"
    if change.verdict == "regressed":
        SubElement(case, "failure", message=_safe(told), type="regressed")
    elif change.verdict == "undecided":
        SubElement(case, "skipped", message=_safe(change.reason))
    else:
        SubElement(case, "system-out").text = _safe(told)


def _safe(text: str) -> str:
    """On one line, without what XML cannot hold; the library escapes its signs."""
    return printable(text)
