"""Writes the result of a suite as Markdown: for a pull request, or the summary of a step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from chaoskit.analysis.formatting import whole_seconds
from chaoskit.analysis.suite_result import SuiteResult, SuiteRunResult
from chaoskit.report.markdown_text import bounded, code, folded, prose, table
from chaoskit.report.suite import headline, outcome_words, purpose, summary, why

_NS = 10**9
_MARKS = {"PASSED": "✅", "UNDECIDED": "❔", "RUNNING": "⏳"}


def write(suite: SuiteResult, file: BinaryIO) -> None:
    """Write it; what does not fit into a step's summary is named."""
    file.write(bounded(_parts(suite)).encode())


def _parts(suite: SuiteResult) -> Iterator[tuple[str, str]]:
    mark = headline(suite)
    yield "headline", f"## {_MARKS.get(mark, '❌')} {mark} {prose(suite.name)}"
    yield "headline", f"**{prose(summary(suite))}**"
    for run in suite.failures():
        yield run.name, _failure(suite, run)
    if suite.errors:
        yield "errors", "\n".join(f"- {prose(each)}" for each in suite.errors)
    whole = table(["run", "outcome", "took"], [_row(run) for run in suite.runs])
    yield "runs", whole if suite.failures() == suite.runs else folded("All runs", whole)
    yield "versions", f"<sub>{prose(f'chaoskit {suite.chaoskit}, {suite.started}, {suite.file}')}</sub>"


def _row(run: SuiteRunResult) -> list[str]:
    sign = "" if run.is_as_expected is None else "✅ " if run.failure is None else _sign(run)
    return [code(run.name), f"{sign}{prose(outcome_words(run))}", _took(run)]


def _sign(run: SuiteRunResult) -> str:
    return "❌ " if run.failure in ("broken", "error") else "❔ "


def _took(run: SuiteRunResult) -> str:
    return whole_seconds(round(run.seconds * _NS)) if run.seconds else ""


def _failure(suite: SuiteResult, run: SuiteRunResult) -> str:
    lines = [f"{_sign(run)}{code(run.name)}: {prose(outcome_words(run))}"]
    told = (("why", why(run)), purpose(run), ("owner", run.owner))
    lines += [f"- {word}: {prose(text)}" for word, text in told if text]
    if run.directory and suite.folder:
        lines.append(f"- {code(f'chaoskit report {suite.folder}/{run.directory}')}")
    return "\n".join([lines[0], "", *lines[1:]])
