"""Writes the result of a suite as JUnit XML: a case for each run, and one for the suite's commands.

Rules: only what ended as expected has passed, also a run that is broken where that is expected. What is undecided or
was not run is skipped with its reason; an error of a run is an error.
"""

from __future__ import annotations

from typing import BinaryIO
from xml.etree import ElementTree as Xml

from chaoskit.analysis.suite_result import SuiteResult, SuiteRunResult
from chaoskit.report.junit_text import attribute, count, document, outcome
from chaoskit.report.suite import headline, outcome_words, purpose, summary, why


def write(suite: SuiteResult, file: BinaryIO) -> None:
    """Write it."""
    cases = [_case(suite, run) for run in suite.runs]
    if suite.errors:
        cases.append(Xml.Element("testcase", classname=attribute(suite.name), name="the commands of the suite"))
        outcome(cases[-1], "error", "command", "; ".join(suite.errors))
    whole = Xml.Element("testsuite", name=attribute(suite.name), tests=str(len(cases)))
    count(whole, cases)
    whole.set("time", f"{suite.seconds:.3f}")
    whole.set("timestamp", attribute(suite.started))
    properties = Xml.SubElement(whole, "properties")
    told = {"headline": f"{headline(suite)}: {summary(suite)}", "exit-code": str(suite.exit_code), "owner": suite.owner}
    for key, value in told.items():
        Xml.SubElement(properties, "property", name=key, value=attribute(value))
    whole.extend(cases)
    file.write(document([whole]))


def _case(suite: SuiteResult, run: SuiteRunResult) -> Xml.Element:
    case = Xml.Element("testcase", classname=attribute(suite.name), name=attribute(run.name), time=f"{run.seconds:.3f}")
    said = f"{outcome_words(run)}: {why(run)}" if run.reason else outcome_words(run)
    lines = (f"{word}: {text}" for word, text in (purpose(run), ("owner", run.owner)) if text)
    told = "\n".join((said, *lines))
    match run.failure:
        case "broken":
            outcome(case, "failure", "broken", said, told)
        case "error":
            outcome(case, "error", "error", said, told)
        case "undecided" | "not-run":
            outcome(case, "skipped", run.failure, said)
        case None if run.is_as_expected is None:
            outcome(case, "skipped", run.state, said)
    return case
