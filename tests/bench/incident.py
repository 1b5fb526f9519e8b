"""What an incident of ten minutes costs in virtual time: wall seconds, and the memory of the whole of it.

    python tests/bench/incident.py [--minutes 10]

Five hosts: a gateway with policy, retrieval and a tool, and Llama 3 70B on four A100s behind it, which queues. Five
times the users come for a tenth of the time, more than the model can do: 60 streams are open soon, and 250 in the end;
meanwhile the way to the index is bad, and then all is as before. `streams` is the time from Enter until all is put
back, `report` the rest; `processor` is the processor time of all of it, which a busy machine changes less; `memory` is
the most that chaoskit's own processes and the guest's have together.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from loopback import table

from chaoskit.errors import VERDICTS

GLANCE = 0.1  # seconds between two looks at memory
EXPERIMENT = """\
name: incident
question: What does an incident of ten minutes cost?
stage:
  lab: service
  memory: 1GB
  hosts:
    gateway:
      gateway:
        workflows:
          support:
            - policy
            - retrieve: {{k: 4, deadline: 400ms, fallback: no-context}}
            - tools: {{calls: 1}}
            - generate
        admission: {{policy: fcfs}}
    guard: {{policy: {{latency: 8ms}}}}
    vectors: {{retrieval: {{latency: {{median: 30ms, p99: 120ms}}}}}}
    tools: {{tool: {{latency: 50ms}}}}
    model: {{reference: {{engine: {{profile: llama-3-70b-a100-tp4, prompt-tokens: azure-2023-conversation}}}}}}
  target: http://gateway:8000/v1/chat/completions
workload: {{request-rate: 0.95/s, output-tokens: 200, timeouts: {{first-token: 60s, idle: 60s}}}}
faults:
  vpn: {{between: [gateway, vectors], direction: both, netem: {{delay: 60ms, loss: 1%}}}}
timeline: [{{baseline: {calm}s}}, {{incident: {{for: {surge}s, demand: 5x, faults: [vpn]}}}}, {{recovery: {after}s}}]
objectives: ["ttft_p90 < 1s during baseline"]
seed: 7
"""


def main() -> None:
    """Measure and print."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--minutes", type=int, default=10, help="virtual ones")
    seconds = 60 * words.parse_args().minutes
    calm, surge = seconds * 4 // 10, seconds // 10
    with tempfile.TemporaryDirectory(prefix="chaoskit-") as folder:
        run, file = Path(folder) / "run", Path(folder) / "incident.yaml"
        file.write_text(EXPERIMENT.format(calm=calm, surge=surge, after=seconds - calm - surge))
        command = [sys.executable, "-m", "chaoskit", "run", str(file), "--clock", "virtual", "--out", str(run)]
        begun = time.time()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            peak = [0]
            watching = threading.Thread(target=_watch, args=(process, peak))
            watching.start()
            said, _ = process.communicate()
            ended = time.time()
            watching.join()
        if process.returncode not in VERDICTS:
            sys.exit(said)
        put_back = (run / "outcome.json").stat().st_ctime
        requests = (run / "requests.jsonl").read_bytes().count(b"\n")
        tokens = (run / "tokens.jsonl").read_bytes().count(b"\n")
        most = _most_at_once(run)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = used.ru_utime + used.ru_stime
    counts = (f"{requests}", f"{most}", f"{tokens}")
    walls = (f"{put_back - begun:.0f} s", f"{ended - put_back:.1f} s", f"{ended - begun:.0f} s")
    costs = (f"{processor:.0f} s", f"{processor / tokens * 1000:.2f} ms", f"{peak[0] >> 20} MB")
    print(f"an incident of {seconds} virtual seconds, five hosts")
    names = ("requests", "at once", "reads", "streams", "report", "all", "processor", "a read", "memory")
    print(table(names, [(*counts, *walls, *costs)]))


def _most_at_once(run: Path) -> int:
    """How many streams were open at the same time."""
    from chaoskit.records.jsonl import read
    from chaoskit.records.model import Request

    changes = sorted(change for each in read(run, Request) for change in ((each.started, 1), (each.ended, -1)))
    open_now = most = 0
    for _, change in changes:
        open_now += change
        most = max(most, open_now)
    return most


def _watch(process: subprocess.Popen[str], peak: list[int]) -> None:
    """Note the most memory of a process and all below it, until it ends."""
    while process.poll() is None:
        peak[0] = max(peak[0], sum(_proportional(pid) for pid in _family(process.pid)))
        time.sleep(GLANCE)


def _family(pid: int) -> Iterator[int]:
    yield pid
    try:
        children = [each.read_text().split() for each in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:
        return
    for child in (int(each) for found in children for each in found):
        yield from _family(child)


def _proportional(pid: int) -> int:
    """Its memory in bytes, a part of what it shares with others."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return 1024 * next((int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")), 0)


if __name__ == "__main__":
    main()
