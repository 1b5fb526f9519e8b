"""Writes JUnit XML: a suite for each run, a case for each objective, and one for the run itself.

Rules: only what is met has passed. What is undecided, was not run, or is so far met in a run that ended early, is
skipped with its reason. How a run ended (refused, crashed, interrupted, not restored) is an error of the run's case.
Elements and attributes are those that Jenkins' xUnit plugin and GitLab read; characters that XML 1.0 forbids are shown
as escapes.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import BinaryIO
from xml.etree import ElementTree as Xml

from chaoskit.analysis.result import ObjectiveResult, PhaseResult, Result
from chaoskit.report import console
from chaoskit.report.formats.source import Run, Source
from chaoskit.report.headline import headline, reason, what_broke
from chaoskit.report.junit_text import attribute, content, count, document, outcome
from chaoskit.report.screen import Screen
from chaoskit.spec.objectives import phase_of

_WIDTH = 100
_WHOLE_RUN = "whole run"
_RUN = "the run ends and everything is restored"


def write_all(sources: Sequence[Source], file: BinaryIO) -> None:
    """Write them as one document."""
    suites = [_suite(source, run) for source in sources for run in source.runs]
    file.write(document(suites))


def _suite(source: Source, run: Run) -> Xml.Element:
    name = attribute(f"{source.title} {run.variant}" if run.variant else source.title)
    cases = [_run_case(name, run), *(_cases(name, run, run.result) if run.result else ())]
    suite = Xml.Element("testsuite", name=name, tests=str(len(cases)))
    count(suite, cases)
    suite.set("time", f"{run.result.seconds if run.result else 0:.3f}")
    made = run.result.provenance if run.result else None
    if made is not None and made.started:
        suite.set("timestamp", attribute(made.started))
    properties = Xml.SubElement(suite, "properties")
    for key, value in _properties(source, run):
        Xml.SubElement(properties, "property", name=attribute(key), value=attribute(value))
    suite.extend(cases)
    if run.result is not None:
        Xml.SubElement(suite, "system-out").text = content(_as_shown(run.result))
    return suite


def _run_case(suite: str, run: Run) -> Xml.Element:
    """How the run itself ended."""
    seconds = run.result.seconds if run.result else 0.0
    case = Xml.Element("testcase", classname=suite, name=_RUN, time=f"{seconds:.3f}")
    if run.result is None:
        outcome(case, "skipped" if run.missing == "not run" else "error", "unreadable", run.missing)
    elif run.result.outcome.status != "finished":
        outcome(case, "error", run.result.outcome.status, reason(run.result))
    elif run.result.internal_error:
        outcome(case, "error", "crashed", run.result.internal_error)
    elif not run.result.objectives and run.result.outcome.verdict == "undecided":
        outcome(case, "skipped", "undecided", run.result.outcome.reason)
    return case


def _cases(suite: str, run: Run, result: Result) -> Iterator[Xml.Element]:
    judged = [("", each, result.phases) for each in result.objectives]
    judged += [(f"{other.name}: ", each, other.phases) for other in result.workloads for each in other.objectives]
    for whose, verdict, phases in judged:
        name = phase_of(verdict.text) or _WHOLE_RUN
        phase = next((each for each in phases if each.name == name), None)
        time = phase.seconds if phase else result.seconds
        case = Xml.Element("testcase", classname=f"{suite}.{attribute(name)}", name=attribute(whose + verdict.text))
        case.set("time", f"{time:.3f}")
        _judge(case, verdict, phase, result)
        yield case


def _judge(case: Xml.Element, verdict: ObjectiveResult, phase: PhaseResult | None, result: Result) -> None:
    lines = [verdict.reason, *(f"faults: {each}" for each in (phase.settings if phase else ()))]
    for evidence in verdict.evidence[:1]:
        if evidence.worst:
            lines.append(f"worst streams: {', '.join(map(str, evidence.worst))} in {evidence.file}")
    if verdict.verdict == "broken":
        outcome(case, "failure", "broken", verdict.reason, "\n".join([what_broke(result, verdict), *lines]))
    elif verdict.verdict == "undecided":
        outcome(case, "skipped", "undecided", verdict.reason)
    elif result.outcome.status != "finished":
        outcome(case, "skipped", result.outcome.status, f"met so far, {reason(result)}")


def _properties(source: Source, run: Run) -> Iterator[tuple[str, str]]:
    yield "repeat", source.command
    if run.variant:
        yield "variant", run.variant
    result = run.result
    if result is None:
        return
    yield "headline", headline(result)
    yield "verdict", result.outcome.verdict
    yield "exit-code", str(result.exit_code)
    yield "target", result.target
    yield "chaoskit", result.chaoskit
    yield "kernel", result.kernel
    yield "clock", result.clock
    yield "seed", str(result.seed)
    if result.provenance is not None and result.provenance.commit:
        yield "commit", result.provenance.commit
    for phase in result.phases:
        if phase.settings:
            yield f"faults during {phase.name}", "; ".join(phase.settings)
    for number, warning in enumerate(result.warnings, 1):
        yield f"warning {number}", warning


def _as_shown(result: Result) -> str:
    """What a terminal shows."""
    shown = io.StringIO()
    console.render(result, Screen(shown, _WIDTH))
    return shown.getvalue()
