"""The worst streams of a verdict: those that count against it, and no others."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_runs import Made, plan

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.findings import Evidence


def evidence(tmp_path: Path, objective: str, *, is_well: bool) -> Evidence:
    """Of a run of six equal streams, after which one is slow, one stalls, one is short and interrupted."""
    run = Made(plan([objective])).phases()
    for at in range(0, 6000, 1000):
        run.served(run.stream(at, [at + 100 + 20 * token for token in range(5)]), 5, 5)
    if not is_well:
        run.served(run.stream(6000, [6900 + 20 * token for token in range(5)]), 5, 5)
        run.served(run.stream(7000, [7100, 7120, 7700, 7720, 7740]), 5, 5)
        run.served(run.stream(8000, [8100, 8120], "reset", ended=8130), 5, 5)
    (found,) = analyse(run.write(tmp_path / f"run-{is_well}")).objectives[0].evidence
    return found


@pytest.mark.parametrize(
    ("objective", "worst"),
    [
        ("ttft_p95 < 800ms", (6,)),
        ("ttft_p50 > 500ms", (0, 1, 2, 3, 4)),
        ("itl_p99 < 200ms", (7,)),
        ("stalls_per_minute < 5", (7,)),
        ("stall_interval_fraction < 1%", (7,)),
        ("stall_ratio < 1%", (7,)),
        ("interruption_rate <= 1%", (8,)),
        ("goodput > 2/s", (8,)),
        ("delivered_fraction > 90%", (8,)),
        ("tokens_per_second > 100", ()),
    ],
)
def test_the_worst_count_against_the_objective(tmp_path: Path, objective: str, worst: tuple[int, ...]) -> None:
    """Each metric has its own; where all is well there is no worst stream."""
    assert evidence(tmp_path, objective, is_well=False).worst == worst
    if ">" not in objective:
        assert evidence(tmp_path, objective, is_well=True).worst == ()
