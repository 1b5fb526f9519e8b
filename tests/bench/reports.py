"""Measures each format of a report, of a run of 1,000 streams of 500 tokens: seconds, memory, size.

    PYTHONPATH=tests python tests/bench/reports.py [--streams 1000] [--tokens 500] [FORMAT ...]

Each report is made by the command, in a process of its own, from the records on: most of a short time is reading and
judging them. `together` is what `run --report` does, all of them from one reading. The run has the records of a lab:
sockets, counters and queues each second, and the spans of three hops for each stream. The aim for all together is below
10 s and 1 GB.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from long_runs import MIB, write_lab

from chaoskit import clock
from chaoskit.report.formats import FORMATS


class Cost(NamedTuple):
    """What one report took: seconds, seconds of processor time, and bytes of memory and of the report."""

    seconds: float
    cpu: float
    memory: int
    size: int


TOGETHER = """
import sys
from pathlib import Path
from chaoskit.analysis.analyse import analyse
from chaoskit.report.formats.destinations import write_reports
run = Path(sys.argv[1])
write_reports(sys.argv[2:], run, analyse(run))
"""


def of_one(run: Path, name: str, out: Path) -> Cost:
    """The cost of this format."""
    return measure(["-m", "chaoskit", "report", str(run), "--format", name, "-o", str(out)], [out])


def of_all(run: Path, names: list[str]) -> Cost:
    """The cost of these together."""
    return measure(["-c", TOGETHER, str(run), *names], [run / FORMATS[name].file for name in names])


def measure(arguments: list[str], outs: list[Path]) -> Cost:
    """The cost of this Python process, which writes these files or folders."""
    words = [sys.executable, *arguments]
    begun = clock.now()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = process.stderr.read().decode()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    files = [path for out in outs for path in (out, *out.rglob("*")) if path.is_file()]
    if not files:
        raise RuntimeError(said)
    size = sum(path.stat().st_size for path in files)
    return Cost((clock.now() - begun) / 1e9, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024, size)


def main() -> None:
    """Write the run, report it in each format, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--tokens", type=int, default=500)
    parser.add_argument("formats", nargs="*", default=list(FORMATS))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chaoskit-") as folder:
        run = Path(folder, "run")
        tokens = write_lab(run, options.streams, options.tokens)
        records = sum(path.stat().st_size for path in run.iterdir())
        print(f"reports of {options.streams:,} streams, {tokens:,} tokens, {records // MIB} MiB of records")
        found = {name: of_one(run, name, Path(folder, name)) for name in options.formats}
        found["together"] = of_all(run, options.formats)
    for name, cost in found.items():
        print(
            f"  {name:<14}{cost.seconds:6.1f} s  {cost.cpu:6.1f} s of processor time"
            f"  {cost.memory // MIB:5} MiB of memory  {cost.size / MIB:8.2f} MiB"
        )


if __name__ == "__main__":
    main()
