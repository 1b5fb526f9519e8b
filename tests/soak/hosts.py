"""Kills service labs, whose hosts run programs, one of them stopped by a fault, and checks what is left.

    PYTHONPATH=tests python tests/in_guest.py --limit 10min env PYTHONPATH=tests python -m soak.hosts here --count 20
    PYTHONPATH=tests python -m soak.hosts virtual --count 20

`here` needs netem, so it runs in a guest: as root, or with --nobody as a user who has no rights but user namespaces. A
trial kills one or several of the run's processes at a random moment, in every other four of them while a host is
paused: the command `run`, the conductor, a process of a host, or all of these, and in `virtual` the guest's kernel.
Nothing may be left: no process, stopped ones included, no mount, and no named network namespace. Prints how many trials
there were, and in how many of them a host was paused; exit code 1 when anything was left, or no host was ever paused.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

PATIENCE = 30.0  # s until nothing may be left
LONGEST = {"here": 25.0, "virtual": 10.0}  # s after its start that a run is killed at the latest
EXPERIMENT = """\
name: soak-hosts
question: Does anything of its hosts stay?
stage:
  lab: service
  hosts:
    model: {reference: true}
    files: {run: [python3, -m, http.server, "8080"], ready: 8080}
    forks: {run: "while :; do sleep 0.2; done & python3 -m http.server 8081", ready: 8081}
  target: http://model:8000/v1/chat/completions
workload: {max-concurrency: 2, output-tokens: 20, timeouts: {connect: 1s, first-token: 1s, idle: 1s}}
faults:
  hangs: [{host: files, process: paused}]
  slow: [{host: forks, process: paused}, {host: model, direction: both, netem: {delay: 20ms}}]
timeline: [{baseline: 3s}, {hangs: 5s}, {slow: 5s}, {hangs: 600s}]
"""
_BEGINS = 120.0  # s until a host is paused, on a busy machine
_ENDS = 5.0  # s that a run may take to end by itself
VICTIMS = ("run", "conductor", "program", "all")
_NOBODY = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--")


def main() -> int:
    """Do the trials, and print the count."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("where", choices=sorted(LONGEST))
    words.add_argument("--count", type=int, default=20)
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--nobody", action="store_true")
    asked = words.parse_args()
    chance = random.Random(asked.seed)
    counts, wrong, stopped = Counter[str](), list[str](), 0
    for number in range(asked.count):
        victim = VICTIMS[number % len(VICTIMS)]
        moment = chance.uniform(0, LONGEST[asked.where])
        awaits = number // len(VICTIMS) % 2 == 0
        struck, was_stopped, left = trial(asked.where, asked.nobody, victim, -moment if awaits else moment)
        stopped += was_stopped
        counts[f"{victim}{'' if struck else ', which did not run yet'}"] += 1
        if left:
            wrong.append(f"{victim} after {moment:.2f} s left {left}")
            print(wrong[-1], flush=True)
    print(
        f"{asked.count} trials, {len(wrong)} left something; killed: {dict(counts)}; {stopped} while a host was paused"
    )
    if not stopped:
        print("no trial met a paused host: give a larger --count")
    return 1 if wrong or not stopped else 0


def trial(where: str, as_nobody: bool, victim: str, moment: float) -> tuple[bool, bool, list[str]]:
    """Whether there was something to kill, whether a host was paused at that moment, and what is left in the end.

    `moment`: seconds after the start; a negative one is so much of the longest time after a host was paused.
    """
    before, mounts, names = frozenset(_parents()), _mounts(), _names()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        Path(folder).chmod(0o777)
        file = Path(folder, "soak.yaml")
        file.write_text(EXPERIMENT)
        options = ["--substrate", "here"] if where == "here" else ["--clock", "virtual"]
        command = [sys.executable, "-m", "chaoskit", "run", str(file), *options, "--out", f"{folder}/run"]
        with subprocess.Popen(
            [*(_NOBODY if as_nobody else ()), *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | ({"HOME": folder} if as_nobody else {}),  # where a built kernel is looked for
        ) as process:
            if moment < 0:
                _wait_for_pause(Path(folder, "run"), process)
            time.sleep(moment if moment >= 0 else -moment / 10)
            tree = [process.pid, *_descendants(process.pid)]
            was_stopped = _is_paused(Path(folder, "run"))
            struck = {"run": tree[:1], "conductor": tree[1:2], "program": tree[-1:], "all": tree}[victim]
            for pid in struck:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            try:
                process.wait(_ENDS)
            except subprocess.TimeoutExpired:  # the run goes on without what was killed
                process.kill()
        deadline = time.monotonic() + PATIENCE
        while (left := _left(where, before, tree, folder)) and time.monotonic() < deadline:
            time.sleep(0.1)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
    told = [f"process {pid}" for pid in left]
    return (
        bool(struck),
        was_stopped,
        told + [f"mount {each}" for each in _mounts() - mounts] + [f"namespace {each}" for each in _names() - names],
    )


def _wait_for_pause(run: Path, process: subprocess.Popen[bytes]) -> None:
    """Until a host is paused; but not for longer than a run may take to begin, nor when it has ended."""
    deadline = time.monotonic() + _BEGINS
    while not _is_paused(run) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)


def _is_paused(run: Path) -> bool:
    """Whether a host of the run is paused, by its records; a torn last line does not count."""
    states = dict[str, str]()
    with suppress(OSError):
        for line in (run / "host_states.jsonl").read_text().splitlines():
            with suppress(ValueError):
                state = json.loads(line)
                states[state["host"]] = state["state"]
    return "paused" in states.values()


def _left(where: str, before: frozenset[int], tree: list[int], folder: str) -> list[int]:
    """In a guest everything that was not there before; on a machine of others what belongs to the run."""
    living = _parents()
    if where == "here":
        return [pid for pid in living if pid not in before and living[pid] not in (0, 2)]
    return [pid for pid in living if pid not in before and (pid in tree or folder in _words(pid))]


def _descendants(pid: int) -> list[int]:
    """All of them, parents before children."""
    parents, found = _parents(), [pid]
    for each in found:
        found += sorted(child for child, parent in parents.items() if parent == each)
    return found[1:]


def _parents() -> dict[int, int]:
    """The parent of each living process, proc_pid_stat(5)."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
            if state not in "ZX":
                found[int(stat.parent.name)] = int(parent)
    return found


def _words(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    return ""


def _mounts() -> frozenset[str]:
    return frozenset(line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines())


def _names() -> frozenset[str]:
    with suppress(FileNotFoundError):
        return frozenset(os.listdir("/run/netns"))  # noqa: PTH208  names, not paths
    return frozenset()


if __name__ == "__main__":
    sys.exit(main())
