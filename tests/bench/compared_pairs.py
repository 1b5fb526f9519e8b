"""Simulates how often `chaoskit compare` flags anything: pairs of runs without a difference, and with one.

`make coverage`. Each pair is drawn anew (`simulated_pairs`), written as two run directories, compared as the command
does. Prints a Markdown table; of pairs without a difference 5 % at most may be flagged.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from simulated_pairs import SAME, Change, simulated

from chaoskit.analysis.run_comparison.compare import compare_runs
from chaoskit.analysis.run_comparison.request import request

DOUBLED = Change(latency=2)
SIZES = (60, 150)
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None


def flagged(change: Change, streams: int, seed: int) -> tuple[bool, bool]:
    """Whether a pair is flagged anywhere, and by the median that may have doubled."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        runs = [
            simulated(2 * seed + number, each, streams).write(Path(folder) / str(number))
            for number, each in enumerate((SAME, change))
        ]
        (found,) = compare_runs(request(runs, [], [], (), None)).candidates
    shown = [
        (each.phase, each.metric) for each in found.changes if each.verdict in ("regressed", "improved", "changed")
    ]
    return bool(shown), ("wifi", "ttft_p50") in shown


def _share(hits: Iterable[bool]) -> str:
    found = list(hits)
    return f"{100 * sum(found) / len(found):.1f} %"


def main() -> None:
    """Print a row for each size."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--streams", type=int, action="append")
    asked = parser.parse_args()
    print("| streams in a phase | pairs without a difference | flagged | a median that doubles is flagged |")
    print("|--:|--:|--:|--:|")
    with ProcessPoolExecutor() as pool:
        for streams in asked.streams or SIZES:
            seeds = range(asked.pairs)
            same = list(pool.map(partial(flagged, SAME, streams), seeds, chunksize=10))
            doubled = list(pool.map(partial(flagged, DOUBLED, streams), range(10**6, 10**6 + asked.pairs // 10)))
            any_of_same, median_of_doubled = _share(each for each, _ in same), _share(each for _, each in doubled)
            print(f"| {streams} | {asked.pairs} | {any_of_same} | {median_of_doubled} |", flush=True)


if __name__ == "__main__":
    main()
