"""How soon something happens: `--help` after Enter, and the first request of a run in a guest.

    python tests/bench/startup.py [--times 9]

The first request is seen from outside, by the records that the run writes, so its time is at most the real one
plus the half second between two lines of the probe's vitals.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from chaoskit.clock import RealClock, now
from chaoskit.records.jsonl import read
from chaoskit.records.model import Vitals

CHAOSKIT = [sys.executable, "-m", "chaoskit"]
UNDECIDED = 5  # so short a run may not tell how late its packets were
HEAVY = ("httpx", "pyroute2", "scapy", "pydantic", "numpy")
EXPERIMENT = """\
name: startup
question: How long from Enter to the first request?
stage: {lab: edge}
workload:
  protocol: openai-chat
  max-concurrency: 1
  prompt-size: 1kB
  output-tokens: 20
server:
  first-token: {median: 50ms, p99: 60ms}
  token-interval: 20ms
faults:
  slow: {link: client-router, direction: down, netem: {delay: 5ms}}
timeline: [{baseline: 2s}, {slow: 1s}]
seed: 42
"""


def main() -> None:
    """Measure both and print them."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--times", type=int, default=9, help="how often to ask for --help")
    asked = words.parse_args()
    took = sorted(help_time() for _ in range(asked.times))
    print(
        f"chaoskit --help     {statistics.median(took):6.3f} s  median of {len(took)}, {took[0]:.3f} to {took[-1]:.3f}"
    )
    print(f"  imports of {', '.join(HEAVY)}: {', '.join(heavy_imports()) or 'none'}")
    with tempfile.TemporaryDirectory(prefix="chaoskit-") as folder:
        first, whole = run_times(Path(folder))
    print(f"first request       {first:6.1f} s  after `chaoskit run --substrate uml`, 0.5 s less at best")
    print(f"whole run           {whole:6.1f} s  of a timeline of 3 s")


def help_time() -> float:
    """Seconds from starting `chaoskit --help` to its end."""
    begun = now()
    subprocess.run([*CHAOSKIT, "--help"], check=True, stdout=subprocess.DEVNULL)
    return (now() - begun) / 1e9


def heavy_imports() -> list[str]:
    """Which of the heavy packages `chaoskit --help` imports."""
    report = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "chaoskit", "--help"],
        check=True,
        capture_output=True,
        text=True,
    ).stderr
    loaded = {line.rpartition("|")[2].strip().split(".")[0] for line in report.splitlines()}
    return sorted(loaded.intersection(HEAVY))


def run_times(folder: Path) -> tuple[float, float]:
    """Seconds from starting a run in a guest to its first request, and to its end."""
    (folder / "startup.yaml").write_text(EXPERIMENT)
    directory = folder / "run"
    clock = RealClock()
    begun = clock.now()
    words = [*CHAOSKIT, "run", str(folder / "startup.yaml"), "--out", str(directory), "--substrate", "uml"]
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None and not any(line.started for line in read(directory, Vitals)):
            clock.sleep_until(clock.now() + 20_000_000)
        first = clock.now() - begun
        if process.wait() not in (0, UNDECIDED):
            sys.exit(f"the run ended with {process.returncode}")
    return first / 1e9, (clock.now() - begun) / 1e9


if __name__ == "__main__":
    main()
