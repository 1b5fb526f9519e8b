"""Measures a sweep: cells per minute on one and on several processors, and on as many workers of Dask.

    python tests/bench/sweep.py [--cells 60] [--jobs 2]

Every way has the same cells, of the experiment on burst loss; the tables are compared byte by byte.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FILE = Path(__file__).parents[2] / "experiments" / "loss-first-token.yaml"
_DASK = (sys.executable, "-m", "dask")


def main() -> None:
    """Print a row for each way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=60)
    parser.add_argument("--jobs", type=int, default=2)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        ways = {"1": ("--jobs", "1"), str(asked.jobs): ("--jobs", str(asked.jobs))}
        taken = {name: timed(Path(place) / name, asked.cells, *words) for name, words in ways.items()}
        taken["dask"] = through_dask(Path(place), asked.cells, asked.jobs)
        tables = {(Path(place) / name / "points.csv").read_bytes() for name in taken}
    one, several = taken["1"], taken[str(asked.jobs)]
    for name, seconds in taken.items():
        print(f"{name:>6}  {60 * asked.cells / seconds:6.1f} cells/min")
    overhead = taken["dask"] / several
    print(f"{asked.jobs} jobs: {one / several:.2f} x one; Dask: {overhead:.2f} x the time of {asked.jobs} jobs")
    print(f"tables: {'the same' if len(tables) == 1 else 'DIFFERENT'}")


def timed(out: Path, cells: int, *words: str) -> float:
    """Seconds that a sweep takes."""
    call = [sys.executable, "-m", "chaoskit", "sweep", str(FILE), "--repeats", str(cells), "-o", str(out), "--quiet"]
    begun = time.monotonic()
    subprocess.run([*call, "--report", "csv", *words], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - begun


def through_dask(place: Path, cells: int, workers: int) -> float:
    """The same on so many workers of a scheduler on this machine, which are ready before."""
    file = place / "scheduler.json"
    local = ("--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(file))
    started = [subprocess.Popen([*_DASK, "scheduler", "--port", "0", *local], stderr=subprocess.DEVNULL)]
    try:
        while not file.exists():
            time.sleep(0.1)
        count = ("--nworkers", str(workers), "--nthreads", "1", "--local-directory", str(place))
        started.append(subprocess.Popen([*_DASK, "worker", *local, *count], stderr=subprocess.DEVNULL))
        time.sleep(10)
        return timed(place / "dask", cells, "--dask", json.loads(file.read_text())["address"])
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait()


if __name__ == "__main__":
    main()
