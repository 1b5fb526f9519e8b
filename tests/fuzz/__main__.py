"""Runs every fuzz target for some time, saves findings as cases, and prints one table.

    PYTHONPATH=tests python -m fuzz [--seconds 60] [--seed 1] [TARGET...]

Exit code 1 when there are findings. Every later run and the unit tests try saved cases again.
"""

from __future__ import annotations

import argparse
import secrets
import sys

from fuzz import captures, client, endpoint, exports, files, streams
from fuzz.target import Outcome, Target, run, save_case

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
    captures.CAPTURES,
    exports.JSON,
    exports.PROTOBUF,
    client.SERVER,
    endpoint.ENDPOINT,
    endpoint.RUNS,
)


def main() -> int:
    """Fuzz, save, print."""
    arguments = _arguments()
    outcomes = []
    for target in TARGETS:
        if not arguments.targets or target.name in arguments.targets:
            outcomes.append(run(target, arguments.seed, length=round(arguments.seconds * 1e9)))
            _report(outcomes[-1])
    print(table(outcomes))
    print(f"seed {arguments.seed}")
    return 1 if any(outcome.findings for outcome in outcomes) else 0


def table(outcomes: list[Outcome]) -> str:
    """A Markdown table with a line for each target."""
    lines = ["| target | inputs | seconds | findings |", "|---|--:|--:|--:|"]
    for each in outcomes:
        lines.append(f"| {each.name} | {each.inputs:,} | {each.spent / 1e9:.0f} | {len(each.findings)} |")
    return "\n".join(lines)


def _report(outcome: Outcome) -> None:
    for data, report in outcome.findings:
        where = save_case(outcome.name, data) if data else "the whole run"
        print(f"{outcome.name}: {where}\n{report}", file=sys.stderr)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="for each target")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**31), help="default: random; it is printed")
    parser.add_argument("targets", nargs="*", metavar="TARGET", choices=[[], *(each.name for each in TARGETS)])
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
