"""Simulates how often the interval of `chaoskit limit` holds the true limit, and how many runs it takes.

`make coverage`. 500 searches of each kind of curve, the limit anywhere in the range, or near its ends. Prints a
Markdown table. The grid is one of the same precision: every dose in turn, until the interval is as narrow.

Where the transition is narrow beside the precision, a run's outcome is certain but next to the limit, and the interval
holds the truth nearly always: it cannot be narrower than the doses between which the outcome changes. `!` marks what
holds the truth in less than 93 %.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from simulated_limits import Found, Shape, grid, search_of, simulate

SHAPES = {
    "steep": (Shape(0.004), 0.02, 0.98),
    "steep, 3 % lapses": (Shape(0.004, 0.03), 0.02, 0.98),
    "medium": (Shape(0.03), 0.02, 0.98),
    "medium, 3 % lapses": (Shape(0.03, 0.03), 0.02, 0.98),
    "shallow": (Shape(0.1), 0.02, 0.98),
    "medium, near the easy end": (Shape(0.03), 0.0, 0.1),
    "medium, near the hard end": (Shape(0.03), 0.9, 1.0),
}
"""By name: the shape, and between which limits the true one lies."""
_PIECE = 25


def searches(name: str, slots: int, precision: float, most: int, seeds: range) -> list[tuple[float, Found]]:
    """The true limits, and what was found."""
    shape, low, high = SHAPES[name]
    search, found = search_of(precision), []
    for seed in seeds:
        limit = float(np.random.default_rng((7, seed)).uniform(low, high))
        found.append((limit, simulate(search, shape.curve(limit), seed, slots, most)))
    return found


def grids(name: str, precision: float, seeds: range) -> list[int]:
    """How many runs the grid took; at most 4,000."""
    shape, low, high = SHAPES[name]
    limits = [float(np.random.default_rng((7, seed)).uniform(low, high)) for seed in seeds]
    return [
        len(grid(search_of(precision), shape.curve(limit), seed).trials)
        for limit, seed in zip(limits, seeds, strict=True)
    ]


def row(name: str, slots: int, found: Sequence[tuple[float, Found]], of_grid: Sequence[int]) -> str:
    """One line of the table."""
    covered = 100 * np.mean([each.holds(limit) for limit, each in found])
    runs = np.array([len(each.trials) for _, each in found])
    reached = 100 * np.mean([each.where != "open" for _, each in found])
    width = 100 * np.median([each.high - each.low for _, each in found])
    mark = " !" if covered < 93 else " wide" if covered > 97 else ""
    return (
        f"| {name} | {slots} | {covered:.1f} %{mark} | {np.median(runs):.0f} | {np.percentile(runs, 90):.0f} "
        f"| {reached:.0f} % | {width:.1f} % | {np.median(of_grid):.0f} |"
    )


def main() -> None:
    """Print a row for each kind of curve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--searches", type=int, default=500)
    parser.add_argument("--slots", type=int, action="append")
    parser.add_argument("--only", default="", help="the curves with this in their name")
    parser.add_argument("--precision", type=float, default=0.05)
    parser.add_argument("--most", type=int, default=40, help="runs of a search")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    print("| curve | at a time | covers | runs | runs, p90 | as precise as asked | width | runs of the grid |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    pieces = [range(first, min(first + _PIECE, asked.searches)) for first in range(0, asked.searches, _PIECE)]
    with ProcessPoolExecutor(asked.processes) as pool:
        for name in filter(lambda each: asked.only in each, SHAPES):
            of_grid = [each for part in pool.map(partial(grids, name, asked.precision), pieces[:1]) for each in part]
            for slots in asked.slots or (1, 2, 4):
                parts = pool.map(partial(searches, name, slots, asked.precision, asked.most), pieces)
                print(row(name, slots, [each for part in parts for each in part], of_grid), flush=True)


if __name__ == "__main__":
    main()
