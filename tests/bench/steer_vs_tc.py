"""One targeted two-way fault, put on an interface and taken away again: chaoskit beside tc(8) and tcconfig.

    PYTHONPATH=tests python tests/bench/steer_vs_tc.py [--times 7] [--tcconfig .venv/tcconfig/bin]

Needs a kernel with netem (make bench runs it in a guest). Each does what it calls the same: TCP and UDP with one
host and port are delayed by 40 ms on their way there and by 80 ms on their way back.

| who                  | what it does                                                                              |
|----------------------|-------------------------------------------------------------------------------------------|
| chaoskit's engine    | reads, journals to the disk, sets, reads back; restores by its journal; waits for queues   |
| tc and ip            | the commands that `chaoskit inject --dry-run` prints, one process each, nothing looked at  |
| chaoskit inject      | the command from a shell: also imports, lookups, lock, lease and watchdog; without its lease  |
| tcset, tcset, tcdel  | the commands from a shell; they replace the root qdisc, and mean IPv4 alone                 |

Processes are counted by the kernel (`processes` in /proc/stat), threads among them.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

from soak import interfaces, state

from chaoskit.clock import now
from chaoskit.engine.apply_restore import apply, restore
from chaoskit.engine.journal import Journal
from chaoskit.kernel.features import detect_features
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.knobs import Netem
from chaoskit.report.commands import doing, undoing
from chaoskit.topology.steering import Remote, TrafficSelector, steer

LINK = "bare"
HOST, PORT = interfaces.far(LINK), interfaces.PORT
UP, DOWN = Netem(delay=40_000_000), Netem(delay=80_000_000)
CHANGES = steer(LINK, TrafficSelector((Remote(f"{HOST}/32", PORT),)), {"up": UP, "down": DOWN}, "flower")
INJECT = (
    *("inject", "--interface", LINK, "--to", f"{HOST}:{PORT}"),
    *("--up", "delay 40ms", "--down", "delay 80ms", "--for", "1s"),
)
LEASE = 10**9
Spent = tuple[int, int]


def main() -> None:
    """All of them by turns, and one table."""
    words = argparse.ArgumentParser()
    words.add_argument("--times", type=int, default=7)
    words.add_argument("--tcconfig", type=Path, default=Path(".venv/tcconfig/bin"))
    asked = words.parse_args()
    interfaces.prepare()
    interfaces.build()
    at_rest = state.look()
    spent: dict[str, list[Spent]] = {}
    left: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory(prefix="chaoskit-") as folder, LinuxKernel(detect_features()) as kernel:
        contestants: dict[str, Callable[[], int]] = {
            "chaoskit's engine": lambda: engine(kernel, Path(folder)),
            "tc and ip": tc,
            "chaoskit inject": lambda: inject(Path(folder)),
            "tcset, tcset, tcdel": lambda: tcconfig(asked.tcconfig),
        }
        for _ in range(asked.times):
            for name, work in contestants.items():
                spent.setdefault(name, []).append(counted(work))
                left[name] = state.look() - at_rest
                if left[name]:
                    interfaces.clear()
                    interfaces.build()
    print(f"a targeted two-way fault, set and taken away again; median of {asked.times}, kernel {os.uname().release}")
    for name, each in spent.items():
        times = [time / 1e6 for time, _ in each]
        processes = median(count for _, count in each)
        told = f"{median(times):7.0f} ms ({min(times):.0f} to {max(times):.0f}), {processes:3.0f} processes"
        print(f"  {name:20s} {told}" + (f", leaves {len(left[name])} lines of state" if left[name] else ""))
    for ours, theirs in (("chaoskit's engine", "tc and ip"), ("chaoskit inject", "tcset, tcset, tcdel")):
        ratio = median(time for time, _ in spent[ours]) / median(time for time, _ in spent[theirs])
        print(f"  {ours} takes {ratio:.2f} of the time of {theirs}")


def counted(work: Callable[[], int]) -> Spent:
    """How long it took by its own watch, in ns, and how many processes the kernel made meanwhile."""
    before = processes()
    time = work()
    return time, processes() - before


def processes() -> int:
    """How many the kernel has made since it booted."""
    lines = Path("/proc/stat").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("processes "))


def engine(kernel: LinuxKernel, folder: Path) -> int:
    """As a run does it, in this process."""
    run = Path(tempfile.mkdtemp(dir=folder))
    begun = now()
    with Journal.at(run) as journal:
        for change in CHANGES:
            apply(kernel, journal, change)
        assert restore(kernel, journal) == []
    return now() - begun


def tc() -> int:
    """As a script does it."""
    commands = [shlex.split(line) for line in doing(CHANGES) + undoing(CHANGES) if not line.startswith("#")]
    begun = now()
    for command in commands:
        subprocess.run(command, check=True)
    return now() - begun


def inject(folder: Path) -> int:
    """The whole command, less the time that its lease lasts."""
    begun = now()
    shell([sys.executable, "-m", "chaoskit", *INJECT], CHAOSKIT_STATE=str(folder / "state"))
    return now() - begun - LEASE


def tcconfig(place: Path) -> int:
    """Both directions, and all away."""
    begun = now()
    shell([str(place / "tcset"), LINK, *("--network", HOST, "--port", str(PORT), "--delay", "40ms")])
    back = ("--network", HOST, "--src-port", str(PORT), "--delay", "80ms")
    shell([str(place / "tcset"), LINK, "--direction", "incoming", *back])
    shell([str(place / "tcdel"), LINK, "--all"])
    return now() - begun


def shell(argv: list[str], **environment: str) -> None:
    """Run a command; what it says is shown when it fails."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=os.environ | environment)
    if done.returncode != 0:
        raise SystemExit(f"{shlex.join(argv)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    main()
