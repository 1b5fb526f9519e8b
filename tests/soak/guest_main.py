"""One guest's part of a soak: its trials, one after the other, each outcome a line of a file.

python -m soak.guest_main FILE --seed 1 --count 200 --part 0 --of 2 [--only WORDS]
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from soak import traffic
from soak.run_process import PATIENCE, RunProcess, kill, wait_until
from soak.series import series
from soak.trials import SoakEnvironment, Trial, run_trial

QUESTIONS = 500  # for each neighbour


def main() -> None:
    """Do them all; what is left behind is told, and does not stop the others."""
    asked = _asked()
    chosen = [trial for trial in _part(asked) if asked.only in trial.row][asked.skip :]
    with tempfile.TemporaryDirectory(prefix="soak-") as folder, asked.file.open("a") as out:
        for outcome in work(Path(folder), chosen):
            out.write(json.dumps(outcome) + "\n")
            out.flush()


def _part(asked: argparse.Namespace) -> list[Trial]:
    """Every n-th trial; exec's are all the first guest's, for as root it takes NAT, which Debian's has not."""
    trials = list(series(asked.seed, asked.count))
    execs = [trial for trial in trials if trial.words[0] == "exec"]
    others = [trial for trial in trials if trial.words[0] != "exec"]
    return others[asked.part :: asked.of] + (execs if asked.part == 0 else [])


def work(folder: Path, trials: list[Trial]) -> Iterator[dict[str, Any]]:
    """The outcome of each trial, as words."""
    testbed = SoakEnvironment(folder)
    try:
        for trial in trials:
            yield asdict(run_trial(testbed, trial)) | {"kernel": os.uname().release}
        yield neighbours(testbed)
    finally:
        testbed.close()


def neighbours(testbed: SoakEnvironment) -> dict[str, Any]:
    """What of others' traffic a fault in force touches."""
    traffic.add_other_host()
    answers = traffic.start_echo_server()
    process = RunProcess((*traffic.FAULT, "--for", "60s"), testbed.state)
    try:
        wait_until(lambda: "in force" in process.words() or process.has_ended(), PATIENCE)
        told = traffic.measure_neighbours(QUESTIONS)
        if process.has_ended():
            raise RuntimeError(f"no fault for the neighbours: {process.words()}")
        kill(process.conductor, signal.SIGTERM)
        process.wait_for_end()
    finally:
        process.end()
        kill(answers, signal.SIGKILL)
    return asdict(told) | {"kernel": os.uname().release}


def _asked() -> argparse.Namespace:
    words = argparse.ArgumentParser()
    words.add_argument("file", type=Path)
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--count", type=int, default=200)
    words.add_argument("--part", type=int, default=0)
    words.add_argument("--of", type=int, default=1)
    words.add_argument("--skip", type=int, default=0)
    words.add_argument("--only", default="")
    return words.parse_args()


if __name__ == "__main__":
    main()
