"""Measures the analysis of a long run: seconds, and peak memory.

    PYTHONPATH=tests python tests/bench/analysis.py [--tokens 10000000] [--streams 20000]

Writes the run directory of three phases into the temporary folder (80 bytes a token), analyses it in another process,
and deletes it. The target stamps its tokens; one token in fifty arrives with the one before it, one in a thousand is
late.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from long_runs import MIB, analysed, write


def main() -> None:
    """Write, analyse, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tokens", type=int, default=10_000_000)
    parser.add_argument("--streams", type=int, default=20_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chaoskit-") as folder:
        run = Path(folder, "run")
        tokens = write(run, options.streams, options.tokens // options.streams)
        records = sum(path.stat().st_size for path in run.iterdir())
        cost = analysed(run)
    print(f"analysis of {tokens:,} tokens in {options.streams:,} streams, {records // MIB} MiB of records")
    each = (cost.memory - cost.idle) / tokens
    print(f"  {cost.seconds:.1f} s, {cost.cpu:.1f} s of processor time, {cost.memory // MIB} MiB at most")
    print(f"  {each:.0f} bytes a token")


if __name__ == "__main__":
    main()
