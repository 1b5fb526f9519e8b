"""Writes a comparison of runs as Markdown: what one wants to read in a pull request."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from chaoskit.analysis.formatting import format_value
from chaoskit.analysis.run_comparison.result import Candidate, Difference, MetricChange, RunComparison
from chaoskit.report.run_comparison.words import (
    NOT_SHOWN,
    change_in_words,
    headline,
    judged_in_words,
    label,
    made_with,
    place,
    ratio_in_words,
    verdict_in_words,
)
from chaoskit.terminal import printable
from chaoskit.units import counted

_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
_MOST_ROWS = 300  # of a table: a comment of GitHub holds 65,536 characters
_MOST_FIELDS = 50
_SIGNS = {"regressed": "❌", "undecided": "❔", "no-worse": "✅", "not-shown": "✅"}


def markdown(found: RunComparison) -> str:
    """The whole text."""
    return "\n".join(line for candidate in found.candidates for line in _lines(found, candidate)) + "\n"


def _lines(found: RunComparison, candidate: Candidate) -> Iterator[str]:
    yield f"## {_SIGNS[candidate.verdict]} {headline(candidate.verdict)}: {_safe(found.name)}"
    yield ""
    yield f"{_safe(candidate.reason)}."
    yield ""
    yield f"- **A** {_safe(found.reference_name)}: {_safe(made_with(found.reference))}"
    yield f"- **B** {_safe(candidate.name)}: {_safe(made_with(candidate.runs))}"
    for difference in candidate.differences:
        yield from _difference(difference)
    yield from (f"- {_safe(each)}" for each in (*found.remarks, *candidate.remarks))
    yield ""
    important = [each for each in candidate.changes if each.is_named or each.verdict in ("regressed", "improved")]
    rest = [each for each in candidate.changes if each not in important]
    if important:
        yield from _table(important)
    if rest:
        yield f"<details><summary>{counted(len(rest), 'more comparison')}</summary>"
        yield ""
        yield from _table(rest)
        yield "</details>"
        yield ""
    yield f"<sub>{_safe(judged_in_words(found))}; ≈ no change is shown.</sub>"
    yield ""


def _difference(difference: Difference) -> Iterator[str]:
    yield f"- despite another {_safe(difference.kind)}: {_safe(difference.sentence)}"
    for each in difference.fields[:_MOST_FIELDS]:
        yield f"  - {_safe(each.field)}: {_safe(each.reference or '(nothing)')} → {_safe(each.value or '(nothing)')}"


def _table(changes: Sequence[MetricChange]) -> Iterator[str]:
    yield "| where | metric | A | B | change | ratio | verdict |"
    yield "|---|---|--:|--:|---|---|---|"
    for each in changes[:_MOST_ROWS]:
        cells = (
            place(each),
            label(each),
            format_value(each.reference, each.unit),
            format_value(each.value, each.unit),
            change_in_words(each, is_ratio=False),
            ratio_in_words(each),
        )
        verdict = "" if each.verdict == NOT_SHOWN else verdict_in_words(each)
        told = f"**{verdict}**" if each.verdict in ("regressed", "undecided") else verdict
        yield f"| {' | '.join(map(_safe, cells))} | {told} |"
    yield ""
    if len(changes) > _MOST_ROWS:
        yield f"{len(changes) - _MOST_ROWS} more are left out; `chaoskit compare --format json` has all."
        yield ""


def _safe(text: str) -> str:
    """On one line, without anything that Markdown or HTML would interpret."""
    return _PUNCTUATION.sub(r"\\\1", printable(text))
