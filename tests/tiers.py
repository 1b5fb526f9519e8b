"""Runs the tiers one after the other, whatever each finds, and adds up what they say.

    tiers.py TARGET...

A tier is a target of the Makefile. It fails when its command fails, and also when it skips a test: a tier that
was asked for runs whole.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter

CLOSING = re.compile(r"^=* ?((?:\d+ [a-z]+,? ?)+) in [\d.]+s")  # pytest's last line
COUNT = re.compile(r"(\d+) ([a-z]+)")


def main(tiers: list[str]) -> int:
    """Run them, print the sum, and give 0 when all are well."""
    total: Counter[str] = Counter()
    verdicts: dict[str, str] = {}
    for tier in tiers:
        print(f"--- {tier}", flush=True)
        code, counted = run(tier)
        total += counted
        verdicts[tier] = judge(code, counted)
    print("---")
    for tier, verdict in verdicts.items():
        print(f"{tier}: {verdict}")
    print(f"{total['passed']} passed, {total['failed'] + total['error'] + total['errors']} failed")
    return 0 if all(verdict == "well" for verdict in verdicts.values()) else 1


def run(tier: str) -> tuple[int, Counter[str]]:
    """Run one tier, showing what it says; its exit code and what its closing line counts."""
    counted: Counter[str] = Counter()
    words = ["make", "--no-print-directory", "--silent", tier]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            if closing := CLOSING.match(line):
                counted = Counter({word: int(number) for number, word in COUNT.findall(closing.group(1))})
    return process.returncode, counted


def judge(code: int, counted: Counter[str]) -> str:
    """One word about a tier, or what is wrong with it."""
    if code != 0:
        return f"failed with {code}"
    return f"skipped {counted['skipped']}" if counted["skipped"] else "well"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
