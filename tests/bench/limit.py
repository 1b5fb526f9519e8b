"""Measures `chaoskit limit` against a grid of the same precision: runs and time, on the guest kernel in virtual time.

    python tests/bench/limit.py [--precision 10%] [--jobs 2] [FILE PATH FROM TO]

The grid is a sweep of doses that are one precision apart. It gets one more repeat of each, until as much is known: the
rule is that of the search.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from chaoskit.analysis.limits.dose_response import Trial
from chaoskit.analysis.limits.limit_result import load_limit
from chaoskit.analysis.limits.outcomes import read_outcome
from chaoskit.analysis.sweep_result import load_sweep
from chaoskit.limit.limit_options import asked_of
from chaoskit.limit.prepared_search import PreparedSearch, prepare
from chaoskit.substrate.selection import SubstrateOptions

FILE = Path(__file__).parents[2] / "experiments" / "loss-first-token.yaml"
PATH = "faults.wifi.netem.loss.gemodel.p"
MOST = 40
"""Repeats of the grid."""


def main() -> None:
    """Print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("asked", nargs="*", default=[str(FILE), PATH, "0%", "8%"], metavar="FILE PATH FROM TO")
    parser.add_argument("--precision", default="10%")
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    file, path, easy, hard = given.asked
    search = prepare(asked_of(Path(file), [path], (easy, hard), given.precision, [], None, None), SubstrateOptions())
    with tempfile.TemporaryDirectory() as place:
        rows = {
            "limit": limit(search, Path(place, "limit"), given.precision, given.jobs),
            "grid": grid(search, Path(place, "grid"), given.jobs),
        }
    for name, (runs, seconds, interval) in rows.items():
        print(f"{name:>6}  {runs:4} runs  {seconds:6.0f} s  {interval[0]:.3f} to {interval[1]:.3f} of the range")
    few, many = rows["limit"], rows["grid"]
    print(f"limit: {few[0] / many[0]:.0%} of the runs, {few[1] / many[1]:.0%} of the time")


def limit(search: PreparedSearch, out: Path, precision: str, jobs: int) -> tuple[int, float, tuple[float, float]]:
    """Its runs, its seconds and its interval."""
    asked = search.asked
    words = ["--vary", asked.path, "--from", asked.easy, "--to", asked.hard, "--precision", precision, "--max-runs"]
    seconds = timed("limit", str(asked.file), *words, "1000", "--jobs", str(jobs), "-o", str(out))
    (found,) = load_limit(out).searches
    assert found.estimate is not None
    return len(found.runs), seconds, (found.estimate.low_place, found.estimate.high_place)


def grid(search: PreparedSearch, out: Path, jobs: int) -> tuple[int, float, tuple[float, float]]:
    """The same of a sweep, repeat by repeat."""
    asked, seconds = search.asked, 0.0
    places = [number * asked.precision for number in range(round(1 / asked.precision) + 1)]
    doses = {search.doses.text(place): place for place in places}
    words = [str(asked.file), "--vary", f"{asked.path}={','.join(doses)}", "--jobs", str(jobs), "-o", str(out)]
    for repeats in range(1, MOST + 1):
        resumed = ["--resume"] if repeats > 1 else []
        seconds += timed("sweep", *words, "--repeats", str(repeats), *resumed)
        sweep = load_sweep(out)
        outcomes = [(list(doses.values())[cell.point], read_outcome(out / cell.name).held) for cell in sweep.cells]
        learned = search.search.learned([Trial(place, held) for place, held in outcomes if held is not None])
        if search.search.where(learned) != "open":
            break
    return len(sweep.cells), seconds, learned.interval()


def timed(*words: str) -> float:
    """Seconds of this command. Its exit code says what was found."""
    begun = time.monotonic()
    subprocess.run([sys.executable, "-m", "chaoskit", *words, "--quiet"], check=False, stdout=subprocess.DEVNULL)
    return time.monotonic() - begun


if __name__ == "__main__":
    main()
