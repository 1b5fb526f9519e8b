"""Makes past runs and series of them, one run a day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from chaoskit.analysis.trends.points import PastRun, Point, Series, Subject

TTFT = Subject("ttft_p95 during wifi", "ttft_p95", "ms")


def run(at: int, **more: object) -> PastRun:
    """The run of this number."""
    made = PastRun(
        identity=str(at),
        started=f"2026-{1 + at // 28:02}-{1 + at % 28:02}T00:00:00Z",
        name="wifi",
        variant="",
        experiment="e" * 64,
        target="http://127.0.0.1",
        clock="real",
        kernel="6.12",
        chaoskit="0.1.0",
        commit=f"{at:040x}",
        branch="main",
        is_dirty=False,
        status="finished",
        verdict="met",
        streams=100,
        is_overloaded=False,
    )
    return replace(made, **more)  # type: ignore[arg-type]


def series(values: Sequence[float], subject: Subject = TTFT) -> Series:
    """A run for each value."""
    return Series(subject, tuple(Point(run(at), value, None, None, 100) for at, value in enumerate(values)))
