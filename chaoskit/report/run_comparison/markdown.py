"""Writes a comparison of runs as Markdown: what one wants to read in a pull request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chaoskit.analysis.formatting import format_value
from chaoskit.analysis.run_comparison.result import Candidate, Difference, MetricChange, RunComparison
from chaoskit.report.markdown_text import bounded, folded, prose, table
from chaoskit.report.run_comparison.words import (
    NOT_SHOWN,
    SHOWN,
    change_in_words,
    headline,
    in_order,
    is_silent,
    judged_in_words,
    label,
    made_with,
    names_in_words,
    needs_in_words,
    place,
    ratio_in_words,
    verdict_in_words,
)
from chaoskit.units import counted

_MOST_FIELDS = 50
_SIGNS = {"regressed": "❌", "undecided": "❔", "improved": "✅", "changed": "☑️", "no-worse": "✅", "not-shown": "✅"}
_HEADER = ("where", "metric", "A", "B", "change", "ratio", "verdict")

Part = tuple[str, str]


def markdown(found: RunComparison) -> str:
    """The whole text; what does not fit into a step's summary is named."""
    return bounded(part for candidate in found.candidates for part in _parts(found, candidate))


def _parts(found: RunComparison, candidate: Candidate) -> Iterator[Part]:
    name = prose(candidate.name)
    yield name, f"## {_SIGNS[candidate.verdict]} {headline(candidate.verdict)}: {prose(found.name)}"
    yield name, f"**{prose(candidate.reason)}**"
    yield name, "\n".join(_about(found, candidate))
    important = [each for each in candidate.changes if each.is_named or each.verdict in SHOWN]
    rest = [each for each in candidate.changes if each not in important]
    if important:
        yield f"the verdicts on {name}", _table(important)
    if rest:
        yield f"more comparisons of {name}", folded(counted(len(rest), "more comparison"), _table(in_order(rest)))
    notes = filter(None, (judged_in_words(found), names_in_words(found), needs_in_words(found), "≈ no change is shown"))
    yield name, f"<sub>{'<br>'.join(map(prose, notes))}</sub>"


def _about(found: RunComparison, candidate: Candidate) -> Iterator[str]:
    for letter, given, runs in (
        ("A", found.reference_name, found.reference),
        ("B", candidate.name, candidate.runs),
    ):
        yield f"- **{letter}** {prose(f'{given}: {made_with(runs)}')}"
    for difference in candidate.differences:
        yield from _difference(difference)
    yield from (f"- {prose(each)}" for each in (*found.remarks, *candidate.remarks))


def _difference(difference: Difference) -> Iterator[str]:
    yield f"- {prose(f'accepted, {difference.kind}: {difference.sentence}')}"
    for each in difference.fields[:_MOST_FIELDS]:
        values = (each.reference or "(nothing)", each.value or "(nothing)")
        yield f"  - {prose(f'{each.field}: {values[0]} → {values[1]}')}"


def _table(changes: Sequence[MetricChange]) -> str:
    return table(_HEADER, map(_row, changes))


def _row(change: MetricChange) -> list[str]:
    sign = "" if change.verdict == NOT_SHOWN else f"{_SIGNS[change.verdict]} "
    verdict = "" if is_silent(change) else f"{sign}{verdict_in_words(change)}"
    cells = (
        place(change),
        label(change),
        format_value(change.reference, change.unit),
        format_value(change.value, change.unit),
        change_in_words(change, is_ratio=False),
        ratio_in_words(change),
        verdict,
    )
    return [*map(prose, cells)]
