"""Nothing is left behind, whatever dies: boots guests side by side, lets each do its part, and prints one table.

    PYTHONPATH=tests python -m soak [--seed 1] [--count 200] [--only WORDS] [--kernels linux.uml ...]

Exit code 1 when anything was left behind, or a death took more than a second to make good; 3 without guests.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from chaoskit.clock import RealClock, now
from chaoskit.errors import RefusedError
from chaoskit.substrate import uml
from chaoskit.substrate.running import POLL_INTERVAL, Command
from chaoskit.units import Duration
from soak.series import ROWS
from soak.table import neighbours, table, violations

FILE = "outcomes.jsonl"
MOST_LOST = 12  # trials of one guest; User-Mode Linux panics when a process is killed in the middle of its fork


def main() -> int:
    """Soak, print, judge."""
    asked = _asked()
    begun = now()
    with tempfile.TemporaryDirectory(prefix="chaoskit-") as folder:
        try:
            told, broken = soak(asked, Path(folder))
        except RefusedError as error:
            print(error, file=sys.stderr)
            return error.exit_code
    outcomes = [each for each in told if "row" in each]
    censuses = [each for each in told if "row" not in each]
    kernels = " and ".join(sorted({outcome["kernel"] for outcome in outcomes}))
    if outcomes:
        print(table(outcomes, [row.name for row in ROWS]))
    print(f"seed {asked.seed}, kernels {kernels}, {(now() - begun) / 6e10:.1f} min")
    print(neighbours(censuses))
    wrong = violations(outcomes, {row.name: row.is_death for row in ROWS}) + broken
    if any(each["touched"] or not each["target_touched"] for each in censuses):
        wrong.append("a fault touched others, or did not touch its target")
    for complaint in wrong:
        print(complaint)
    return 1 if wrong else 0


def soak(asked: argparse.Namespace, folder: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """What came of all trials, and what the guests said that did not come to their end."""
    clock = RealClock()
    workers = [GuestWorker(asked, part, folder) for part in range(len(asked.kernels))]
    try:
        waiting = workers
        while waiting:
            waiting = [worker for worker in waiting if not worker.is_over()]
            clock.sleep_until(clock.now() + POLL_INTERVAL)
    finally:
        for worker in workers:
            worker.guest.close()
    return [each for worker in workers for each in worker.outcomes()], [
        each for worker in workers for each in worker.broken
    ]


class GuestWorker:
    """A guest at its part. When its kernel itself breaks down, another one takes over behind that trial."""

    def __init__(self, asked: argparse.Namespace, part: int, folder: Path) -> None:
        self._asked, self._part, self._place = asked, part, folder / str(part)
        self._place.mkdir()
        self._kernel = uml.find(asked.kernels[part])
        self._lost = 0
        self.broken: list[str] = []
        self.guest = self._launch()

    def outcomes(self) -> list[dict[str, Any]]:
        """What is known by now."""
        file = self._place / FILE
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def is_over(self) -> bool:
        """Whether its part is done. A guest that cannot go on is complained about."""
        try:
            code = self.guest.poll()
        except RefusedError as error:
            if not self._lost_one(str(error)):
                return True
            self.guest = self._launch()
            return False
        if code:
            self.broken.append(f"a guest ended with {code}: {self.guest.log.read_text(errors='replace')[-3000:]}")
        return code is not None

    def _lost_one(self, why: str) -> bool:
        """Note that a trial has no outcome; whether to go on."""
        self._lost += 1
        print(f"a guest's kernel broke down, a trial without outcome: {why}", file=sys.stderr)
        if self._lost > MOST_LOST:
            self.broken.append(f"guests break down again and again: {why}")
        return self._lost <= MOST_LOST

    def _launch(self) -> uml.Guest:
        done = len(self.outcomes()) + self._lost
        numbers = {"seed": self._asked.seed, "count": self._asked.count, "part": self._part, "skip": done}
        words = [f"--{name}={value}" for name, value in {**numbers, "of": len(self._asked.kernels)}.items()]
        python = ("env", f"PYTHONPATH={Path(__file__).parents[1]}", sys.executable)
        argv = (*python, "-m", "soak.guest_main", str(self._place / FILE), *words, f"--only={self._asked.only}")
        guest = uml.Uml(self._kernel).launch(Command(argv, self._place, self._asked.limit), RealClock())
        cpus = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(guest.pid, {cpus[self._part % len(cpus)]})
        return guest


def _asked() -> argparse.Namespace:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--count", type=int, default=200, help="how many kill -9, at least")
    words.add_argument("--only", default="", help="only rows with these words in their name")
    words.add_argument("--kernels", type=Path, nargs="+", default=[None, Path("linux.uml")], help="a guest for each")
    words.add_argument("--limit", type=Duration.parse, default=Duration.parse("20min"))
    return words.parse_args()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
