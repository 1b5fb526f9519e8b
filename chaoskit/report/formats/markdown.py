"""Writes what one wants to read in a pull request, or in a step's summary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO

from chaoskit.analysis.formatting import format_value
from chaoskit.analysis.matrix import MatrixResult, VariantResult
from chaoskit.analysis.result import ObjectiveResult, Result
from chaoskit.report.formats.source import Source
from chaoskit.report.headline import headline, reason, variant_word, word
from chaoskit.report.markdown_text import block, bounded, code, folded, more, prose, table, warning_list
from chaoskit.report.matrix import HEADLINES as OF_A_MATRIX
from chaoskit.report.stalls import other_rows, stall_rows
from chaoskit.report.table import change_cells, could_be_chance, footnotes_needed, metric_cell, row_label
from chaoskit.spec.metrics import HEADLINES
from chaoskit.units import counted

_MOST_ROWS = 200
_MOST_FILE = 20_000  # characters of an experiment file
_SIGNS = {"met": "✅ met", "broken": "❌ broken", "undecided": "❔ undecided"}
_MARKS = {"MET": "✅", "BROKEN": "❌", "MEASURED": "☑️"}

Part = tuple[str, str]


def write_all(sources: Sequence[Source], file: BinaryIO) -> None:
    """Write them one after the other; what does not fit into a step's summary is named."""
    file.write(bounded(part for source in sources for part in _parts(source)).encode())


def _parts(source: Source) -> Iterator[Part]:
    found, name = source.found, prose(source.title)
    mark = word(found)
    yield name, f"## {_MARKS.get(mark, '❔')} {mark} {name}"
    yield name, f"**{prose(headline(found))}**"
    if found.question:
        yield name, prose(found.question)
    yield from _of_run(found, name) if isinstance(found, Result) else _of_matrix(found, name)
    yield f"how to repeat {name}", folded("How to repeat", _repeat(source))


def _of_run(result: Result, name: str) -> Iterator[Part]:
    judged = [*result.objectives, *(each for other in result.workloads for each in other.objectives)]
    if judged:
        yield f"objectives of {name}", _objectives(judged)
    if result.phases:
        yield f"metrics of {name}", _metrics(result)
    stalls = [*_rows(result)]
    if stalls:
        yield f"causes in {name}", table(["", "whose it was"], stalls).replace("---:", "---")
    if result.warnings:
        yield f"warnings of {name}", warning_list(result.warnings)
    if result.clock:
        version = f"chaoskit {result.chaoskit}, {result.clock} time, kernel {result.kernel}"
        yield name, f"<sub>{prose(f'{version}, seed {result.seed}')}</sub>"


def _objectives(judged: Sequence[ObjectiveResult]) -> str:
    rows = [
        [
            _SIGNS[each.verdict],
            code(each.text),
            prose(format_value(each.observed.value, each.unit)),
            prose(each.reason),
        ]
        for each in judged[:_MOST_ROWS]
    ]
    text = table(["verdict", "objective", "observed", "reason"], rows).replace("---:", "---")
    return text + more(len(judged), "objective", _MOST_ROWS)


def _metrics(result: Result) -> str:
    """The reference phase beside the others, each with its change."""
    reference = result.find_phase(result.reference)
    others = [phase for phase in result.phases if phase is not reference]
    known = {(each.phase, each.metric): each for each in result.comparisons}
    shown = [*([reference] if reference else []), *others][:20]
    rows = []
    for metric in HEADLINES:
        cells = [prose(row_label(result, metric).plain)]
        for phase in shown:
            compared = known.get((phase.name, metric))
            change = change_cells(compared, "changes")[0].plain if compared else ""
            cells.append(prose(f"{metric_cell(phase.metrics, metric)}{f' ({change})' if change else ''}"))
        rows.append(cells)
    rows.append(["streams", *(str(phase.metrics.started) for phase in shown)])
    small, chance = footnotes_needed(result)
    notes = ["\\* the maximum: too few values for this percentile"] * small
    notes += [prose(could_be_chance(result.level))] * chance
    below = f"\n\n<sub>{'<br>'.join(notes)}</sub>" if notes else ""
    return table(["", *(code(phase.name) for phase in shown)], rows) + below


def _rows(result: Result) -> Iterator[list[str]]:
    for label, text in [*stall_rows(result), *other_rows(result)]:
        yield [prose(label.plain), prose(text.plain)]


def _of_matrix(matrix: MatrixResult, name: str) -> Iterator[Part]:
    rows = [_variant(row) for row in matrix.variants[:_MOST_ROWS]]
    text = table([*map(prose, matrix.axes), "verdict", "reason"], rows).replace("---:", "---")
    yield f"variants of {name}", text + more(len(matrix.variants), "variant", _MOST_ROWS)
    phases = list(dict.fromkeys(phase.name for result in matrix.results for phase in result.phases))[:20]
    for metric, label in OF_A_MATRIX.items():
        cells = [[*map(prose, row.values), *_cells(row, phases, metric)] for row in matrix.variants[:_MOST_ROWS]]
        if phases:
            yield f"{label} of {name}", f"{label}\n\n{table([*map(prose, matrix.axes), *map(code, phases)], cells)}"


def _variant(row: VariantResult) -> list[str]:
    mark = variant_word(row)
    return [*map(prose, row.values), f"{_MARKS.get(mark, '❔')} {mark.lower()}", prose(_why(row))]


def _why(row: VariantResult) -> str:
    return reason(row.result) if row.result else row.error


def _cells(row: VariantResult, phases: Sequence[str], metric: str) -> Iterator[str]:
    for name in phases:
        phase = row.result.find_phase(name) if row.result else None
        yield prose(metric_cell(phase.metrics, metric)) if phase else ""


def _repeat(source: Source) -> str:
    parts = [block(source.command, "sh")]
    text = source.experiment_text
    if text is not None and len(text) <= _MOST_FILE:
        parts.append(block(text, "yaml"))
    elif text is not None:
        parts.append(f"The experiment file has {counted(len(text), 'character')} and is left out.")
    return "\n\n".join(parts)
