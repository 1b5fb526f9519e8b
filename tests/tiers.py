"""Runs the tiers, whatever each finds, and adds up what they say.

    tiers.py TARGET...

A tier is a target of the Makefile. It fails when its command fails, and also when it skips a test: a tier that
was asked for runs whole. What failed and then passed is named. As many run side by side as there are processors,
each on one of its own as a guest needs it, the first named first; what one says is shown when it ends.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from queue import SimpleQueue

CLOSING = re.compile(r"^=* ?((?:\d+ [a-z]+,? ?)+) in [\d.]+s", re.MULTILINE)  # pytest's last line
AGAIN = re.compile(r"^RERUN (.+)$", re.MULTILINE)
COUNT = re.compile(r"(\d+) ([a-z]+)")


@dataclass(frozen=True)
class Tier:
    """A target that has ended: its exit code, and what it said."""

    name: str
    code: int
    said: str

    @property
    def counted(self) -> Counter[str]:
        """What its closing line counts."""
        closings = CLOSING.findall(self.said)
        return Counter({word: int(number) for number, word in COUNT.findall(closings[-1])} if closings else {})

    @property
    def verdict(self) -> str:
        """One word about it, or what is wrong with it."""
        if self.code != 0:
            return f"failed with {self.code}"
        return f"skipped {self.counted['skipped']}" if self.counted["skipped"] else "well"


def main(names: list[str]) -> int:
    """Run them, print the sum, and give 0 when all are well."""
    processors: SimpleQueue[int] = SimpleQueue()
    for processor in sorted(os.sched_getaffinity(0)):
        processors.put(processor)
    ended: dict[str, Tier] = {}
    with ThreadPoolExecutor(processors.qsize()) as pool:
        for each in as_completed([pool.submit(run, name, processors) for name in names]):
            tier = each.result()
            ended[tier.name] = tier
            print(f"--- {tier.name}\n{tier.said.rstrip()}", flush=True)
    total: Counter[str] = sum((tier.counted for tier in ended.values()), Counter())
    print("---")
    for name in names:
        print(f"{name}: {ended[name].verdict}")
    for test in dict.fromkeys(test for name in names for test in AGAIN.findall(ended[name].said)):
        print(f"made again: {test}")
    print(f"{total['passed']} passed, {total['failed'] + total['error'] + total['errors']} failed")
    return 0 if all(tier.verdict == "well" for tier in ended.values()) else 1


def run(name: str, processors: SimpleQueue[int]) -> Tier:
    """The tier, from beginning to end, on the next processor that is free."""
    processor = processors.get()
    sys.stdout.write(f"... {name}\n")  # in one piece, for others speak too
    words = ["taskset", "--cpu-list", str(processor), "make", "--no-print-directory", "--silent", name]
    try:
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace", check=False)
        return Tier(name, done.returncode, done.stdout)
    finally:
        processors.put(processor)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
