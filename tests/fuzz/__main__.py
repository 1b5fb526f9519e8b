"""Tries every target for a while, keeps what was found as cases, and prints one table.

    PYTHONPATH=tests python -m fuzz [--seconds 60] [--seed 1] [TARGET...]

Exit code 1 when anything was found. A finding is tried again by every later run, and by the unit tests.
"""

from __future__ import annotations

import argparse
import secrets
import sys

from fuzz import client, files, streams
from fuzz.target import Outcome, Target, keep, run

TARGETS: tuple[Target, ...] = (
    files.EXPERIMENT,
    files.INJECTION,
    files.WORDS,
    files.JOURNAL,
    files.LEASES,
    streams.ANSWERS,
    streams.OBJECTS,
    streams.FRAMES,
    streams.PACKETS,
    client.SERVER,
)


def main() -> int:
    """Fuzz, keep, print."""
    asked = _asked()
    outcomes = []
    for target in TARGETS:
        if not asked.targets or target.name in asked.targets:
            outcomes.append(run(target, asked.seed, length=round(asked.seconds * 1e9)))
            _tell(outcomes[-1])
    print(table(outcomes))
    print(f"seed {asked.seed}")
    return 1 if any(outcome.findings for outcome in outcomes) else 0


def table(outcomes: list[Outcome]) -> str:
    """Markdown, a line for each target."""
    lines = ["| target | inputs | seconds | findings |", "|---|--:|--:|--:|"]
    for each in outcomes:
        lines.append(f"| {each.name} | {each.inputs:,} | {each.spent / 1e9:.0f} | {len(each.findings)} |")
    return "\n".join(lines)


def _tell(outcome: Outcome) -> None:
    for data, said in outcome.findings:
        where = keep(outcome.name, data) if data else "the whole run"
        print(f"{outcome.name}: {where}\n{said}", file=sys.stderr)


def _asked() -> argparse.Namespace:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--seconds", type=float, default=60, help="for each target")
    words.add_argument("--seed", type=int, default=secrets.randbelow(2**31), help="drawn, and printed, without it")
    words.add_argument("targets", nargs="*", metavar="TARGET", choices=[[], *(each.name for each in TARGETS)])
    return words.parse_args()


if __name__ == "__main__":
    sys.exit(main())
