"""How soon something happens: `--help` after Enter, the command of `exec`, and the first request of a run in a guest.

    python tests/bench/startup.py [--times 9]

The machine's load changes all times; the processor time that `exec` takes, its guest's included, says more then.
The first request is seen from outside, by the records that the run writes, so its time is at most the real one
plus the half second between two lines of the probe's vitals.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from chaoskit.clock import RealClock, now
from chaoskit.records.jsonl import read
from chaoskit.records.model import Vitals

CHAOSKIT = [sys.executable, "-m", "chaoskit"]
LAB = Path(__file__).parents[2] / "experiments" / "loss-first-token.yaml"
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
    begun, processor = zip(*(exec_times() for _ in range(3)), strict=True)
    print(f"command of exec     {min(begun):6.2f} s  after `chaoskit exec FILE --substrate uml`, best of 3")
    print(f"  processor time    {min(processor):6.2f} s  until it has ended, guest and chaoskit together")
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


def exec_times() -> tuple[float, float]:
    """Seconds from starting `exec` in a guest until its command writes, and seconds of processor time."""
    former, start = os.times(), now()
    words = [*CHAOSKIT, "exec", str(LAB), "--substrate", "uml", "--fault", "wifi", "--", "echo", "begun"]
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        begun = now() - start
    after = os.times()
    used = after.children_user + after.children_system - former.children_user - former.children_system
    return begun / 1e9, used


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
