"""What the analysis of a long run takes: seconds, and memory at its peak.

    PYTHONPATH=tests python tests/bench/analysis.py [--tokens 10000000] [--streams 20000]

Writes the run directory of three phases into the temporary folder (80 bytes a token), analyses it in a process of its
own, and takes it away. The target stamps its tokens; one token in fifty comes with the one before it, one in a
thousand is late.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from long_runs import MIB, analysed, write


def main() -> None:
    """Write, analyse, print."""
    words = argparse.ArgumentParser()
    words.add_argument("--tokens", type=int, default=10_000_000)
    words.add_argument("--streams", type=int, default=20_000)
    asked = words.parse_args()
    with tempfile.TemporaryDirectory(prefix="chaoskit-") as folder:
        run = Path(folder, "run")
        tokens = write(run, asked.streams, asked.tokens // asked.streams)
        records = sum(path.stat().st_size for path in run.iterdir())
        cost = analysed(run)
    print(f"analysis of {tokens:,} tokens in {asked.streams:,} streams, {records // MIB} MiB of records")
    each = (cost.memory - cost.idle) / tokens
    print(f"  {cost.seconds:.1f} s, {cost.cpu:.1f} s of processor time, {cost.memory // MIB} MiB at most")
    print(f"  {each:.0f} bytes a token")


if __name__ == "__main__":
    main()
