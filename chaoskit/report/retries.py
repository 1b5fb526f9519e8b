"""Shows how many requests were those of users who had given up and asked again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from chaoskit.analysis.result import PhaseResult
from chaoskit.report.styles import styled
from chaoskit.units import counted


def rows(phases: Sequence[PhaseResult]) -> Iterator[tuple[Text, Text]]:
    """A line for each phase: `240 of 300 streams: 5.0 for each first attempt; 212 were abandoned`."""
    for phase in phases:
        metrics = phase.metrics
        if not metrics.started:
            continue
        first = metrics.started - metrics.retries
        times = f": {metrics.started / first:.1f} for each first attempt" if metrics.retries and first else ""
        abandoned = metrics.completions.get("abandoned", 0)
        given_up = f"; {counted(abandoned, 'stream')} abandoned" if abandoned else ""
        told = f"{metrics.retries} of {counted(metrics.started, 'stream')}{times}{given_up}"
        yield styled(phase.name), styled(told)
