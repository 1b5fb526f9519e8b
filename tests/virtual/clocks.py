"""One experiment under both clocks, number beside number; `python tests/virtual/clocks.py` prints the table.

Real time includes what the machine itself adds (a guest's system calls cost it some 25 us each); in virtual
time computing costs nothing. Two numbers agree when their 95 % intervals overlap.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import shipped
import warm

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.result import Comparison, Result
from chaoskit.spec.matrix import load_variants
from chaoskit.spec.stage import EdgeStage

FILES = [path for path in shipped.FILES if path.parent == shipped.FOLDER]


def is_one_in_a_lab(path: Path) -> bool:
    """A real interface has real time alone, and of a matrix each variant would be a file of its own."""
    told = load_variants(path)
    return not told.axes and isinstance(told.each[0].experiment.stage, EdgeStage)


EXPERIMENTS = [path for path in FILES if is_one_in_a_lab(path)]
REPEATING = ("slow-start-after-idle",)
"""Those that tests run twice: kept connections, long prompts and pauses."""

METRICS = ("ttft_p50", "itl_p50", "itl_p99", "stalls_per_minute", "interruption_rate")


@dataclass(frozen=True)
class Pair:
    """The effect of a phase on one metric, as each clock saw it."""

    experiment: str
    real: Comparison
    virtual: Comparison

    @property
    def agrees(self) -> bool:
        """Whether the intervals of the two differences overlap."""
        one, other = self.real.difference, self.virtual.difference
        ends = (one.low, one.high, other.low, other.high)
        if None in ends:
            return one.value == other.value
        return one.low <= other.high and other.low <= one.high  # type: ignore[operator]


def known(value: float | None) -> float:
    """A number that was measured."""
    assert value is not None
    return value


def measure(experiment: Path, clock: str, kernel: Path, out: Path) -> Result:
    """Run it in a guest under this clock. In real time several can run side by side."""
    words = ["run", str(experiment), "--kernel", str(kernel), "--clock", clock, "--out", str(out)]
    if clock == "virtual":
        answer = warm.chaoskit(*words, limit=280)
    else:
        answer = subprocess.run([sys.executable, "-m", "chaoskit", *words], capture_output=True, text=True, check=False)
    if answer.returncode not in (0, 1, 5):
        raise RuntimeError(answer.stdout + answer.stderr)
    return analyse(out)


def pairs(experiment: str, real: Result, virtual: Result) -> Iterator[Pair]:
    """Every metric of every phase against its reference."""
    found = {(each.phase, each.metric): each for each in virtual.comparisons}
    for each in real.comparisons:
        if each.metric in METRICS:
            yield Pair(experiment, each, found[each.phase, each.metric])


def main() -> None:
    """All experiments, one after the other."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--kernel", type=Path, required=True)
    kernel = words.parse_args().kernel
    print("| experiment | phase | metric | real | virtual | effects agree |\n|---|---|---|--:|--:|---|")
    for experiment in EXPERIMENTS:
        with tempfile.TemporaryDirectory() as folder:
            real, virtual = (measure(experiment, clock, kernel, Path(folder) / clock) for clock in ("real", "virtual"))
        for pair in pairs(experiment.stem, real, virtual):
            row = (pair.experiment, pair.real.phase, pair.real.metric, said(pair.real), said(pair.virtual))
            print(f"| {' | '.join(row)} | {'yes' if pair.agrees else 'no'} |", flush=True)


def said(comparison: Comparison) -> str:
    """A value with its unit."""
    value = comparison.value
    if value is None:
        return "–"
    return f"{value:.4g} {comparison.unit}" if comparison.unit != "share" else f"{value:.2%}"


if __name__ == "__main__":
    main()
