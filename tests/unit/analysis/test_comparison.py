"""A change against the reference phase: never more is claimed than both intervals say."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from made_runs import Made, plan

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.result import Comparison
from chaoskit.report.table import change_cells


def compared(tmp_path: Path, streams: int) -> dict[str, Comparison]:
    """The changes of a phase with so many streams against a baseline of 160."""
    run = Made(plan()).phases().many(0, 8000, 50)
    for at in range(10_000, 10_000 + 100 * streams, 100):
        run.stream(at, [at + 300, at + 320, at + 900])
    found = analyse(run.write(tmp_path / f"run{streams}")).comparisons
    return {each.metric: each for each in found if each.phase == "wifi"}


@pytest.mark.parametrize("metric", ["ttft_p50", "itl_p99", "stalls_per_minute", "stall_ratio"])
def test_nothing_known_is_no_bound(tmp_path: Path, metric: str) -> None:
    """Of two streams nothing is known, so nothing of the change: no end, no sign, could be chance, no words."""
    found = compared(tmp_path, 2)[metric]

    assert (found.difference.low, found.difference.high) == (-math.inf, math.inf)
    cells = [cell.plain for cell in change_cells(found, "intervals")]
    assert all("(" not in cell for cell in cells), cells
    assert cells[0].startswith("≈")
    assert '"low":null' in found.difference.model_dump_json()


def test_a_bound_that_is_known_has_a_sign(tmp_path: Path) -> None:
    """Ten streams bound a p95 on one side: the difference says so with a sign, never `at least -8 ms`."""
    found = compared(tmp_path, 10)["ttft_p95"]

    assert found.difference.high == math.inf
    assert change_cells(found, "intervals")[0].plain == "+200 ms (+200 ms or more)"
