"""How fast virtual time passes: wall seconds for an experiment of sixty virtual ones.

    python tests/bench/virtual_time.py [--streams 1,8,32] [--seconds 60] [--kernel PATH]

One run for each number of streams, all at 50 tokens a second, 20 ms each way, 2 % of the packets to the client
lost. `boot` is the time from Enter until the probe opens its records, right before the first request; `streams`
from then until the experiment has been put back; `report` the rest. All are seen from outside, by when the
run's files come to be and change.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from loopback import table

RATE = 50  # tokens a second
GLANCE = 0.005  # seconds between two looks at a run's files
UNDECIDED = 5  # nothing is asked of these runs but to end
EXPERIMENT = """\
name: virtual-time
question: How fast does virtual time pass?
stage: {{lab: edge}}
workload:
  protocol: openai-chat
  max-concurrency: {streams}
  prompt-size: 1kB
  output-tokens: {tokens}
server:
  first-token: {{median: 5ms, p99: 6ms}}
  token-interval: 20ms
faults:
  far:
    - {{link: client-router, direction: up, netem: {{delay: 20ms}}}}
    - {{link: client-router, direction: down, netem: {{delay: 20ms, loss: 2%}}}}
timeline: [{{far: {seconds}s}}]
seed: 42
"""


def main() -> None:
    """Measure and print."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--streams", default="1,8,32", help="how many, separated by commas")
    words.add_argument("--seconds", type=int, default=60, help="virtual ones")
    words.add_argument("--kernel", type=Path, help="a User-Mode Linux kernel with time travel")
    asked = words.parse_args()
    rows = []
    for streams in map(int, asked.streams.split(",")):
        boot, told, report = measure(streams, asked.seconds, asked.kernel)
        tokens = streams * RATE * asked.seconds
        each = f"{told / tokens * 1000:.2f} ms"
        rows.append((f"{streams}", *(f"{took:.1f} s" for took in (boot, told, report, boot + told + report)), each))
    print(f"wall time of {asked.seconds} virtual seconds at {RATE} tokens/s and stream")
    print(table(("streams", "boot", "streams", "report", "all", "a token"), rows))


def measure(streams: int, seconds: int, kernel: Path | None) -> tuple[float, float, float]:
    """Wall seconds until the first request, until all is put back, and until the report."""
    with tempfile.TemporaryDirectory(prefix="chaoskit-") as folder:
        run, file = Path(folder) / "run", Path(folder) / "experiment.yaml"
        file.write_text(EXPERIMENT.format(streams=streams, seconds=seconds, tokens=RATE * seconds))
        command = [sys.executable, "-m", "chaoskit", "run", str(file), "--clock", "virtual", "--out", str(run)]
        if kernel is not None:
            command += ["--kernel", str(kernel.resolve())]
        begun = time.time()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            while not (run / "tokens.jsonl").exists() and process.poll() is None:
                time.sleep(GLANCE)
            first = time.time()
            said, _ = process.communicate()
            ended = time.time()
        if process.returncode not in (0, UNDECIDED):
            sys.exit(said)
        put_back = (run / "outcome.json").stat().st_ctime
    return first - begun, put_back - first, ended - put_back


if __name__ == "__main__":
    main()
