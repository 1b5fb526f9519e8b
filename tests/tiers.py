"""Runs the test tiers side by side, and adds up their results.

    tiers.py TARGET...

A tier is a target of the Makefile. It fails if its command fails, and also if it skips a test: a requested tier runs
completely. Each is listed with the seconds that it took, and tests that passed only on a rerun. Two tiers share a
processor, because those in real time mostly wait, and a guest is pinned to one. They begin in the order of the
arguments; the output of each is shown when it ends.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from queue import SimpleQueue

CLOSING = re.compile(r"^=* ?((?:\d+ [a-z]+,? ?)+) in [\d.]+s", re.MULTILINE)  # pytest's last line
RERUN = re.compile(r"^RERUN (.+)$", re.MULTILINE)
PER_PROCESSOR = 2
COUNT = re.compile(r"(\d+) ([a-z]+)")


@dataclass(frozen=True)
class Tier:
    """A target that has ended: its exit code, its output, and the seconds that it took, in all and of a processor."""

    name: str
    code: int
    output: str
    took: float
    processor: float

    @property
    def counts(self) -> Counter[str]:
        """The counts of pytest's last line."""
        closings = CLOSING.findall(self.output)
        return Counter({word: int(number) for number, word in COUNT.findall(closings[-1])} if closings else {})

    @property
    def verdict(self) -> str:
        """Its result in a few words."""
        if self.code != 0:
            return f"failed with {self.code}"
        return f"skipped {self.counts['skipped']}" if self.counts["skipped"] else "passed"


def main(names: list[str]) -> int:
    """Run the tiers, print the sum, and return 0 if all passed."""
    processors: SimpleQueue[int] = SimpleQueue()
    for processor in sorted(os.sched_getaffinity(0)) * PER_PROCESSOR:
        processors.put(processor)
    ended: dict[str, Tier] = {}
    with ThreadPoolExecutor(processors.qsize()) as pool:
        for each in as_completed([pool.submit(run, name, processors) for name in names]):
            tier = each.result()
            ended[tier.name] = tier
            print(f"--- {tier.name}\n{tier.output.rstrip()}", flush=True)
    total: Counter[str] = sum((tier.counts for tier in ended.values()), Counter())
    print("---")
    for name in names:
        tier = ended[name]
        print(f"{name}: {tier.verdict} in {tier.took:.0f} s, {tier.processor:.0f} s of a processor")
    for test in dict.fromkeys(test for name in names for test in RERUN.findall(ended[name].output)):
        print(f"rerun: {test}")
    print(f"{total['passed']} passed, {total['failed'] + total['error'] + total['errors']} failed")
    return 0 if all(tier.verdict == "passed" for tier in ended.values()) else 1


def run(name: str, processors: SimpleQueue[int]) -> Tier:
    """Run a tier on the next processor that has room."""
    processor = processors.get()
    sys.stdout.write(f"... {name}\n")  # one write, because other threads print too
    words = ["taskset", "--cpu-list", str(processor), "make", "--no-print-directory", "--silent", name]
    begun = time.monotonic()
    try:
        with tempfile.TemporaryFile("w+", errors="replace") as said:
            tier = subprocess.Popen(words, stdout=said, stderr=subprocess.STDOUT)
            _, status, used = os.wait4(tier.pid, 0)
            tier.returncode = os.waitstatus_to_exitcode(status)
            said.seek(0)
            return Tier(name, tier.returncode, said.read(), time.monotonic() - begun, used.ru_utime + used.ru_stime)
    finally:
        processors.put(processor)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
