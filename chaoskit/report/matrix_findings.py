"""Finds what happened over all variants of a matrix: what broke, by how much, where, and whose it is.

Variants with the same trouble are one finding: the same objective broken, or the same metric worse in the same phase.
Pure: a function of the results.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chaoskit.analysis.conclusion import black_holes
from chaoskit.analysis.formatting import format_value
from chaoskit.analysis.matrix import MatrixResult, VariantResult
from chaoskit.analysis.result import PhaseResult, Result, Unit
from chaoskit.report.blame import whose
from chaoskit.report.effects import causes, during, effects
from chaoskit.spec.objectives import parse as parse_objective
from chaoskit.units import counted

_MOST_NAMED = 3  # variants, or values of an axis
_MOST_TOLD = 2  # findings in a sentence


@dataclass(frozen=True)
class Trouble:
    """The first thing that is wrong in one variant: of an objective that is broken, or of an effect beyond chance.

    `what` and `where` are in words; `before` is the value of the reference phase, None where there is none.
    """

    row: VariantResult
    what: str
    where: str
    metric: str
    unit: Unit
    value: float | None
    before: float | None
    phases: tuple[PhaseResult, ...]

    @property
    def kind(self) -> tuple[str, str]:
        """What variants with the same trouble have in common."""
        return self.what, self.where


@dataclass(frozen=True)
class Finding:
    """A trouble that variants have in common, the least of them first."""

    matrix: MatrixResult
    troubles: tuple[Trouble, ...]

    @property
    def is_objective(self) -> bool:
        """Whether it is an objective that is broken."""
        return not self.troubles[0].where

    @property
    def what(self) -> str:
        """`interrupted streams under vpn`, or the objective that is broken."""
        first = self.troubles[0]
        return f"{first.what} {first.where}".strip()

    @property
    def where(self) -> str:
        """`in all 12 variants`, `with loss=5% or 10%`, or their names."""
        return where(self.matrix, [each.row for each in self.troubles])

    @property
    def size(self) -> str:
        """The least and the most, with their variants where they differ."""
        least, most = self.troubles[0], self.troubles[-1]
        ends = [format_value(each.value, each.unit) for each in (least, most)]
        return ends[0] if ends[0] == ends[1] else f"{ends[0]} ({least.row.name}) to {ends[1]} ({most.row.name})"

    @property
    def before(self) -> str:
        """The same of the reference phase, without variants; "" where there is none."""
        known = sorted(each.before for each in self.troubles if each.before is not None)
        ends = [format_value(each, self.troubles[0].unit) for each in (known[:1] + known[-1:])]
        return " to ".join(dict.fromkeys(ends))

    @property
    def reference(self) -> str:
        """The name of the reference phase."""
        first = self.troubles[0].row.result
        return first.reference if first is not None else ""

    @property
    def phases(self) -> list[PhaseResult]:
        """Those of all its variants."""
        return [phase for each in self.troubles for phase in each.phases]

    @property
    def metric(self) -> str:
        """The metric that suffered."""
        return self.troubles[0].metric

    def causes(self) -> Iterator[str]:
        """Whose it is in all of them together, and the black holes that explain it."""
        yield from whose(self.phases, self.metric) if self.is_objective else causes(self.phases, self.metric)
        yield from self.holes()

    def holes(self) -> Iterator[str]:
        """The black holes, each with the variants that have it where not all do."""
        found: dict[str, list[VariantResult]] = {}
        for each in self.troubles:
            for sentence in dict.fromkeys(one for phase in each.phases for one in black_holes(phase)):
                found.setdefault(sentence, []).append(each.row)
        for sentence, rows in found.items():
            yield sentence if len(rows) == len(self.troubles) else f"{sentence} {where(self.matrix, rows)}"


def findings(matrix: MatrixResult) -> list[Finding]:
    """Those of all variants with a result: what is broken first, then what most variants have."""
    groups: dict[tuple[str, str], list[Trouble]] = {}
    for row in matrix.variants:
        if row.result is not None and (found := _trouble(row, row.result)) is not None:
            groups.setdefault(found.kind, []).append(found)
    ordered = sorted(groups.values(), key=lambda group: (bool(group[0].where), -len(group)))
    return [Finding(matrix, tuple(sorted(group, key=_size))) for group in ordered]


def told(matrix: MatrixResult) -> str:
    """What happened, in one sentence without its end; "" where no variant has a result that tells anything."""
    found = findings(matrix)
    parts = [part for each in found[:_MOST_TOLD] for part in _told(each)]
    rest = [each.row for finding in found[_MOST_TOLD:] for each in finding.troubles]
    if rest:
        parts.append(f"something else {where(matrix, rest)}")
    return "; ".join([*parts, *calm(matrix)])


def calm(matrix: MatrixResult) -> Iterator[str]:
    """In which variants nothing became worse."""
    troubled = {each.row.name for finding in findings(matrix) for each in finding.troubles}
    rows = [row for row in matrix.variants if row.name not in troubled and _is_compared(row)]
    if rows:
        yield f"nothing worse beyond chance {where(matrix, rows)}"


def where(matrix: MatrixResult, rows: Sequence[VariantResult]) -> str:
    """Which variants these are: all, those with some values of one axis, a few names, or how many."""
    count, of = len(rows), len(matrix.variants)
    if count == of:
        return f"in all {counted(of, 'variant')}" if of > 1 else f"in {rows[0].name}"
    names = {row.name for row in rows}
    for at, axis in enumerate(matrix.axes):
        values = list(dict.fromkeys(row.values[at] for row in rows))
        if {row.name for row in matrix.variants if row.values[at] in values} == names and len(values) <= _MOST_NAMED:
            return f"with {axis} {_or(values)}"
    listed = f" ({', '.join(row.name for row in rows)})" if count <= _MOST_NAMED else ""
    return f"in {count} of {counted(of, 'variant')}{listed}"


def _told(finding: Finding) -> Iterator[str]:
    if finding.is_objective:
        instead = f", and {finding.before} in {finding.reference}" if finding.before else ""
        yield f"{finding.what} is broken {finding.where}: {finding.size}{instead}"
    else:
        first = finding.troubles[0]
        yield f"{first.what} {finding.before} → {finding.size} {first.where} {finding.where}"
    yield from finding.causes()


def _trouble(row: VariantResult, result: Result) -> Trouble | None:
    """What is wrong in one variant first: a broken objective, or what its fault did beyond chance."""
    for each in result.objectives:
        if each.verdict != "broken":
            continue
        try:
            objective = parse_objective(each.text)
        except ValueError:  # a sentence of an older version
            return Trouble(row, each.text, "", "", each.unit, each.observed.value, None, ())
        phases = tuple(phase for phase in result.phases if objective.phase in (None, phase.name))
        before = [
            one.reference
            for one in result.comparisons
            if (one.phase, one.metric) == (objective.phase, objective.metric) and one.unit == each.unit
        ]
        value = each.observed.value
        return Trouble(row, each.text, "", objective.metric, each.unit, value, next(iter(before), None), phases)
    for effect in effects(result)[:1]:
        change, phase = effect.change, effect.phase
        return Trouble(
            row, effect.label, during(phase), change.metric, change.unit, change.value, change.reference, (phase,)
        )
    return None


def _is_compared(row: VariantResult) -> bool:
    return row.result is not None and row.result.outcome.status == "finished" and bool(row.result.comparisons)


def _size(trouble: Trouble) -> float:
    return trouble.value if trouble.value is not None else 0.0


def _or(values: Sequence[str]) -> str:
    *others, last = values
    return f"{', '.join(others)} or {last}" if others else last
