"""Renders the other workloads of a lab: what their requests met in each phase."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from chaoskit.analysis.formatting import format_value
from chaoskit.analysis.result import Metrics, OtherWorkloadResult
from chaoskit.report.styles import styled
from chaoskit.units import counted


def rows(workloads: Sequence[OtherWorkloadResult]) -> Iterator[tuple[Text, Text]]:
    """A name, and a line for each of its phases."""
    for workload in workloads:
        width = max((len(phase.name) for phase in workload.phases), default=0)
        lines = [f"{phase.name:{width}}  {_summary(phase.metrics)}" for phase in workload.phases]
        late = ["its process was overloaded, which distorts this"] if workload.overloaded else []
        yield styled(workload.name), Text("\n").join(map(styled, (f"asks {workload.target}", *lines, *late)))


def _summary(metrics: Metrics) -> str:
    if not metrics.started:
        return "no stream"
    ends = f", {metrics.interrupted} interrupted" if metrics.interrupted else ""
    ttft = metrics.ttft
    if ttft.p50_ms is None:
        return f"{counted(metrics.started, 'stream')}{ends}"
    first = f"TTFT p50 {format_value(ttft.p50_ms, 'ms')}, p95 {format_value(ttft.p95_ms, 'ms')}"
    return f"{counted(metrics.started, 'stream')}, {first}{ends}"
