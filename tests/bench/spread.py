"""Measures how the p95 of the first token varies over ten runs of one file, under each clock.

spread.py [--runs N] [--kernel PATH]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from chaoskit.analysis.analyse import analyse

EXPERIMENT = """\
name: spread
question: How far do ten runs of one file stray?
stage: {lab: edge}
workload: {request-rate: 8/s, output-tokens: 10}
server: {first-token: {median: 80ms, p99: 160ms}, token-interval: 20ms}
faults:
  wifi: {link: client-router, direction: down, netem: {delay: 15ms, loss: {gemodel: {p: 2%, r: 30%}}}}
timeline: [{wifi: 8s}]
seed: 42
"""


def main() -> None:
    """A line for each clock."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--runs", type=int, default=10)
    words.add_argument("--kernel", type=Path, default=None)
    asked = words.parse_args()
    print(f"p95 of TTFT over {asked.runs} runs of one file, ms")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "spread.yaml"
        file.write_text(EXPERIMENT)
        for clock in ("real", "virtual"):
            found = [p95(file, clock, asked.kernel, Path(folder) / f"{clock}{n}") for n in range(asked.runs)]
            least, most, middle = min(found), max(found), statistics.median(found)
            print(
                f"{clock:8} min {least:.3f}  median {middle:.3f}  max {most:.3f}  spread {most - least:.3f}", flush=True
            )


def p95(file: Path, clock: str, kernel: Path | None, out: Path) -> float:
    """The p95 of one run."""
    words = ["run", str(file), "--substrate", "uml", "--clock", clock, "--out", str(out)]
    words += ["--kernel", str(kernel)] if kernel else []
    answer = subprocess.run([sys.executable, "-m", "chaoskit", *words], capture_output=True, text=True, check=False)
    value = analyse(out).overall.ttft.p95_ms
    if value is None:
        raise RuntimeError(answer.stdout + answer.stderr)
    return value


if __name__ == "__main__":
    main()
