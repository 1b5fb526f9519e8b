"""Builds the table of metrics: the reference phase beside the others, with their changes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import Literal

from rich.table import Table
from rich.text import Text

from chaoskit.analysis.formatting import (
    ANYTHING,
    NO_VALUE,
    format_change,
    format_change_interval,
    format_interval,
    format_level,
    format_value,
)
from chaoskit.analysis.result import Comparison, Metrics, PhaseResult, Result, Unit
from chaoskit.analysis.statistics.estimates import unit as unit_of
from chaoskit.analysis.summaries import IntervalEstimate, LatencySummary
from chaoskit.report.effects import is_better, is_change, is_inconclusive, is_worse
from chaoskit.report.styles import styled
from chaoskit.spec.metrics import HEADLINES

_TIMES = {"ttft": "TTFT", "itl": "ITL", "tpot": "TPOT", "e2el": "E2EL", "connect": "connect", "tls": "TLS"}
_STATISTICS = (
    ("p50", "p90", "p95", "p99", "max", "mean"),
    ("p50", "p90", "p95", "p99", "max"),
    ("p50", "p95", "p99", "max"),
    ("p50", "p95", "p99"),
    ("p50", "p95"),
    ("p50",),
)
"""The columns of a table of percentiles, on ever narrower screens."""
_MAX_COMPARED = 3  # phases that one table compares with the reference

Detail = Literal["intervals", "differences", "changes", "values"]
_DETAILS: tuple[Detail, ...] = ("intervals", "differences", "changes", "values")
_WIDTHS = (False, True)  # whether labels are narrow
_LEFT_OUT: dict[Detail, str] = {
    "differences": "the {level} intervals of the changes",
    "changes": "differences, and the {level} intervals of the changes",
    "values": "the changes, and their {level} intervals",
}


def could_be_chance(level: float = 0.95) -> str:
    """What the sign ≈ means, where intervals are at this level."""
    return f"≈ could be chance: the {_level(level)} interval includes no change, or is open: too few streams"


def _level(level: float) -> str:
    return format_level((1 - level) / 2)


def tables(result: Result, width: Callable[[Table], int], most: int) -> tuple[list[Table], str]:
    """One table for up to three phases if it fits into `most` columns, else one for each phase.

    With them comes a line that says what they leave out for want of columns; "" when nothing. `width` is a table's.
    """
    reference = result.find_phase(result.reference)
    others = [phase for phase in result.phases if phase is not reference]
    if reference is None or not others:
        for names in _STATISTICS:
            found = [percentile_table(phase, names) for phase in result.phases]
            if all(width(each) <= most for each in found):
                break
        rest = ", ".join(name for name in _STATISTICS[0] if name not in names)
        return found, f"not shown: {rest}, for want of columns" if rest else ""

    def chosen(phases: Sequence[PhaseResult], details: Sequence[Detail]) -> tuple[Detail, Table, int]:
        forms = [(each, comparison_table(result, reference, phases, *each)) for each in product(details, _WIDTHS)]
        whole = min(width(table) for (detail, _), table in forms if detail == "intervals")
        (detail, _), table = next((form for form in forms if width(form[1]) <= most), forms[-1])
        return detail, table, whole

    together = [chosen(others, _DETAILS[:3])] if 1 < len(others) <= _MAX_COMPARED else []
    if not together or width(together[0][1]) > most:
        together = [chosen([phase], _DETAILS) for phase in others]
    least = max((detail for detail, _, _ in together), key=_DETAILS.index)
    columns = max(whole for _, _, whole in together)
    hidden = _LEFT_OUT.get(least, "").format(level=_level(result.level))
    left_out = f"not shown: {hidden}, which take {columns} columns" if hidden else ""
    return [table for _, table, _ in together], left_out


def comparison_table(
    result: Result, reference: PhaseResult, others: Sequence[PhaseResult], detail: Detail, is_narrow: bool
) -> Table:
    """One table of these phases against the reference; labels of two lines where `is_narrow`."""
    table = plain_table()
    table.add_column("", style="bold", no_wrap=True)
    table.add_column(styled(reference.name), justify="right", no_wrap=True)
    for phase in others:
        table.add_column(styled(phase.name), justify="right", no_wrap=True, header_style="bold")
        for name in {"values": (), "changes": ("change",)}.get(detail, ("difference", "ratio")):
            table.add_column(name, justify="right", no_wrap=True, header_style="dim")
    known = {(each.phase, each.metric): each for each in result.comparisons}
    for metric in HEADLINES:
        label = row_label(result, metric, is_narrow)
        cells = [styled(metric_cell(reference.metrics, metric))]
        for phase in others:
            cells += [styled(metric_cell(phase.metrics, metric)), *change_cells(known[phase.name, metric], detail)]
        table.add_row(label, *cells)
    streams = [styled(str(reference.metrics.started))]
    for phase in others:
        streams += [styled(str(phase.metrics.started)), *_blank(detail)]
    table.add_row("streams", *streams)
    return table


def row_label(result: Result, metric: str, is_narrow: bool = False) -> Text:
    """What a metric is called, with the threshold that it depends on, in one line or in two: `stalls > 200 ms`."""
    rate = format_value(result.reading_rate, "per-second")
    thresholds = {
        "stalls_per_minute": f"> {format_value(result.stall_threshold_ms, 'ms')}",
        "stall_ratio": f"at {rate}" if is_narrow else f"at {rate.removesuffix('/s')} tokens/s",
    }
    words = [styled(HEADLINES[metric]), *([styled(thresholds[metric])] if metric in thresholds else [])]
    return Text("\n" if is_narrow else " ").join(words)


def percentile_table(phase: PhaseResult, names: Sequence[str]) -> Table:
    """The percentiles of one phase's latencies, when there is no phase to compare it with."""
    table = plain_table()
    table.add_column(styled(phase.name), style="bold", no_wrap=True)
    for name in names:
        table.add_column(name, justify="right", no_wrap=True, header_style="bold")
    metrics = phase.metrics
    for metric, label in _TIMES.items():
        times: LatencySummary = getattr(metrics, metric)
        cells = [_time(times, name) for name in names]
        if times.count:
            table.add_row(label, *cells)
    return table


def footnotes_needed(result: Result) -> tuple[bool, bool]:
    """Whether a table says "too few values" somewhere, and "could be chance"."""
    is_compared = len(result.phases) > 1
    shown = HEADLINES if is_compared else [f"{name}_p{percent}" for name in _TIMES for percent in (90, 95, 99)]
    small = any("*" in metric_cell(phase.metrics, metric) for phase in result.phases for metric in shown)
    return small, any(is_inconclusive(each) for each in result.comparisons)


def plain_table() -> Table:
    """An empty table without borders."""
    return Table(box=None, padding=(0, 0, 0, 2), pad_edge=False, collapse_padding=False)


def metric_cell(metrics: Metrics, metric: str) -> str:
    """A metric with its unit; an asterisk marks a percentile that is the maximum, as there are too few values."""
    latencies = getattr(metrics, metric.rpartition("_")[0], None)
    if isinstance(latencies, LatencySummary):
        return _time(latencies, metric.rpartition("_")[2])
    return format_value(getattr(metrics, metric).value, unit_of(metric))


def _time(times: LatencySummary, name: str) -> str:
    value, at_least = getattr(times, f"{name}_ms"), times.at_least.get(f"{name}_ms")
    if at_least is not None:
        return f"> {format_value(at_least, 'ms')}"
    is_maximum = name in times.reported_as_max and value is not None and not math.isinf(value)
    return format_value(value, "ms") + "*" * is_maximum


def change_cells(comparison: Comparison, detail: Detail) -> list[Text]:
    """How a metric changed against the reference phase, in this much detail; ≈ where it could be chance."""
    style = _style(comparison)
    difference = _signed(comparison.difference, comparison.unit)
    ratio = format_value(comparison.ratio.value, "ratio")
    if is_inconclusive(comparison):
        difference, ratio = _chance(difference), _chance(ratio)
    match detail:
        case "values":
            return []
        case "changes":
            return [Text(ratio if comparison.ratio.value is not None else difference, style)]
        case "differences":
            return [Text(difference, style), Text(ratio, style)]
        case "intervals":
            return [
                Text(difference + _interval(comparison.difference, comparison.unit), style),
                Text(ratio + _interval(comparison.ratio, "ratio"), style),
            ]


def _blank(detail: Detail) -> list[Text]:
    return [Text("")] * {"values": 0, "changes": 1}.get(detail, 2)


def _signed(difference: IntervalEstimate, unit: Unit) -> str:
    if difference.value is None:
        return NO_VALUE
    is_endless = math.isinf(difference.value)
    return format_value(difference.value, unit) if is_endless else format_change(difference.value, unit)


def _interval(estimated: IntervalEstimate, unit: Unit) -> str:
    if estimated.value is None or estimated.low == estimated.high:
        return ""
    text = (format_interval if unit == "ratio" else format_change_interval)(estimated.low, estimated.high, unit)
    return f" ({text})" if text not in ("", ANYTHING) else ""


def _chance(text: str) -> str:
    return text if text in (NO_VALUE, "never", "∞") else f"≈{text}"


def _style(comparison: Comparison) -> str:
    if is_worse(comparison):
        return "red"
    return "green" if is_better(comparison) else "" if is_change(comparison) else "dim"
