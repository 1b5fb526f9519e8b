"""Renders a comparison of runs: a table for each phase, with both sides, the change and the verdict.

A change is shown as the verdict sees it: as a ratio where a tolerance is a share of the reference, else as a
difference; both where the screen is wide enough. Of a matrix only what is named or flagged is shown; JSON has
everything.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from string import ascii_uppercase

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.text import Text

from chaoskit.analysis.formatting import format_value
from chaoskit.analysis.run_comparison.result import (
    Candidate,
    ChangeVerdict,
    ComparedRun,
    ComparisonVerdict,
    MetricChange,
    RunComparison,
)
from chaoskit.report.console import UNBOUNDED_WIDTH, print_sections, section, two_columns
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
from chaoskit.report.styles import styled
from chaoskit.report.table import plain_table

_STYLES: dict[ChangeVerdict | ComparisonVerdict, str] = {
    "regressed": "bold red",
    "improved": "green",
    "changed": "",
    "no-worse": "green",
    "undecided": "magenta",
    "not-shown": "dim",
}
_MOST_FIELDS = 12


def render(found: RunComparison, console: Console) -> None:
    """Print the whole comparison."""
    print_sections([*_parts(found, console)], console)


def letters(found: RunComparison) -> list[str]:
    """What the tables call the sides: A is the reference."""
    return [_letter(number) for number in range(1 + len(found.candidates))]


def _letter(number: int) -> str:
    more, last = divmod(number, len(ascii_uppercase))
    return ascii_uppercase[last] * (more + 1)


def _parts(found: RunComparison, console: Console) -> Iterator[RenderableType]:
    names, wide = letters(found), console.options.update(width=UNBOUNDED_WIDTH)
    every = [each for candidate in found.candidates for each in _shown(candidate)]
    has_both = console.measure(_table(every, ("A", "B"), has_both=True), options=wide).maximum <= console.width
    yield _sides(found, names)
    if found.remarks:
        yield section(f"About {names[0]}", two_columns((Text(), styled(each)) for each in found.remarks))
    for candidate, name in zip(found.candidates, names[1:], strict=True):
        if candidate.differences:
            yield section(f"Compared despite what differs in {name}", two_columns(_differences(candidate)))
        if candidate.remarks:
            yield section(f"About {name}", two_columns((Text(), styled(each)) for each in candidate.remarks))
        for where, changes in groupby(_shown(candidate), key=place):
            title = f"{where}: {name} against {names[0]}" if len(names) > 2 else where
            yield section(title, _table(list(changes), (names[0], name), has_both))
    yield Text("\n".join(_notes(found)), style="dim")
    yield two_columns(_verdicts(found, names), indent=0)


def _sides(found: RunComparison, names: Sequence[str]) -> RenderableType:
    sides = ((found.reference_name, found.reference), *((each.name, each.runs) for each in found.candidates))
    rows = [
        (Text(name, "bold"), styled(given).append(f"  {_made_with(runs)}", "dim"))
        for name, (given, runs) in zip(names, sides, strict=True)
    ]
    return section(found.name, two_columns(rows))


def _made_with(runs: Sequence[ComparedRun]) -> str:
    return styled(made_with(runs)).plain


def _differences(candidate: Candidate) -> Iterator[tuple[Text, Text]]:
    for each in candidate.differences:
        changed = [
            f"{field.field}: {field.reference or '(nothing)'} → {field.value or '(nothing)'}"
            for field in each.fields[:_MOST_FIELDS]
        ]
        more = [f"and {len(each.fields) - _MOST_FIELDS} more"] if len(each.fields) > _MOST_FIELDS else []
        yield styled(each.kind, "yellow"), Text("\n").join(map(styled, changed + more or [each.sentence]))


def _shown(candidate: Candidate) -> list[MetricChange]:
    """All; of a matrix only what somebody named, and what is shown."""
    is_matrix = any(each.variant for each in candidate.changes)
    return [each for each in candidate.changes if not is_matrix or each.is_named or each.verdict in SHOWN]


def _table(changes: Sequence[MetricChange], sides: tuple[str, str], has_both: bool) -> RenderableType:
    """Both sides and the change, as a difference and as a ratio, or as the verdict sees it."""
    table = plain_table()
    table.add_column("", style="bold", no_wrap=True)
    for side in sides:
        table.add_column(side, justify="right", no_wrap=True)
    table.add_column("change", no_wrap=True, header_style="dim")
    if has_both:
        table.add_column("ratio", no_wrap=True, header_style="dim")
    table.add_column("")
    for each in in_order(changes):
        style = "" if each.verdict in SHOWN else "dim"
        values = [styled(format_value(value, each.unit)) for value in (each.reference, each.value)]
        told = [change_in_words(each, is_ratio=False if has_both else None)]
        told += [ratio_in_words(each)] if has_both else []
        table.add_row(
            styled(label(each)),
            *values,
            *(styled(text, style) for text in told),
            Text(_verdict(each), _STYLES[each.verdict]),
        )
    return Padding(table, (0, 0, 0, 2))


def _verdict(change: MetricChange) -> str:
    if is_silent(change):
        return ""
    return verdict_in_words(change) if change.verdict == NOT_SHOWN else change.verdict.replace("-", " ")


def _notes(found: RunComparison) -> Iterator[str]:
    yield f"stalls: gaps > {format_value(found.stall_threshold_ms, 'ms')}; ≈ no change is shown"
    if found.tolerances:
        yield f"no worse: within the tolerance, {', '.join(found.tolerances)}"
    if needs := needs_in_words(found):
        yield needs
    yield judged_in_words(found)
    if any(each.variant for candidate in found.candidates for each in candidate.changes):
        yield "of a matrix only what is named or differs is shown: --format json has all"
    if named := names_in_words(found):
        yield named


def _verdicts(found: RunComparison, names: Sequence[str]) -> Iterator[tuple[Text, Text]]:
    is_alone = len(found.candidates) == 1
    for candidate, name in zip(found.candidates, names[1:], strict=True):
        word = headline(candidate.verdict)
        yield Text(word if is_alone else f"{name} {word}", _VERDICTS[candidate.verdict]), styled(candidate.reason)


_VERDICTS: dict[ComparisonVerdict, str] = {
    "regressed": "bold red",
    "undecided": "bold magenta",
    "no-worse": "bold green",
    "not-shown": "bold green",
}
