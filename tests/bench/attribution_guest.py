"""Runs in a guest: an experiment whose server or client stands still now and then.

    attribution_guest.py FILE OUT SEED [WHO...]

WHO is drawn anew each time: `server` and `client` get SIGSTOP; `busy` computes in the probe's own process, which has
one thread at a time: for the real clock, because computing takes no virtual time.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

from chaoskit.cli.main import main as type_chaoskit

BETWEEN, STANDSTILL = (1.0, 2.5), (0.25, 0.8)  # s
SERVER_PORT = f":{8000:04X}"
ESTABLISHED, LISTENING = "01", "0A"


def main(file: str, out: str, seed: str, *who: str) -> int:
    """Run it to its end."""
    words = ["run", file, "--substrate", "here", "--out", out]
    source = Random(int(seed))
    if "busy" in who:
        os.register_at_fork(
            after_in_child=lambda: threading.Thread(target=be_busy, args=(source,), daemon=True).start()
        )
        sys.argv = ["chaoskit", *words]
        type_chaoskit()
        return 0
    run = subprocess.Popen([sys.executable, "-m", "chaoskit", *words])
    while who and run.poll() is None:
        time.sleep(source.uniform(*BETWEEN))
        stopped = list(processes(source.choice(who)))
        tell(stopped, signal.SIGSTOP)
        time.sleep(source.uniform(*STANDSTILL) if stopped else 0)
        tell(stopped, signal.SIGCONT)
    return run.wait()


def tell(who: list[int], number: signal.Signals) -> None:
    """Send a signal to those that are still there."""
    for pid in who:
        if Path(f"/proc/{pid}").exists():
            os.kill(pid, number)


def processes(who: str) -> Iterator[int]:
    """Those of the reference server, or of the probe; each is in a network namespace of its own."""
    own = Path("/proc/self/ns/net").readlink()
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if (place / "ns/net").readlink() != own and role(place) == who:
                yield int(place.name)
        except OSError:
            continue


def role(place: Path) -> str:
    """By the sockets of its namespace."""
    lines = [line.split() for name in ("tcp", "tcp6") for line in (place / "net" / name).read_text().splitlines()[1:]]
    listening = [line[1] for line in lines if line[3] == LISTENING]
    if any(each.endswith(SERVER_PORT) for each in listening):
        return "server"
    return "client" if not listening and any(line[3] == ESTABLISHED for line in lines) else ""


def be_busy(source: Random) -> None:
    """Compute without a pause now and then, in the probe's process."""
    usual = sys.getswitchinterval()
    while True:
        time.sleep(source.uniform(*BETWEEN))
        if role(Path("/proc/self")) == "client":
            until = time.monotonic() + source.uniform(*STANDSTILL)
            sys.setswitchinterval(60)  # s; nothing else of this process runs before
            while time.monotonic() < until:
                pass
            sys.setswitchinterval(usual)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
