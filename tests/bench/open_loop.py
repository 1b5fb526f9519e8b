"""Measures how late an open loop starts its requests, at a rate that one core has to sustain.

    python tests/bench/open_loop.py [--seconds 10] [--rate 45]

The server runs in its own process; each stream takes about ten seconds at eight tokens per second, as in a chat, so
that some hundreds are open at a time. Lag is measured from the scheduled time to the start of the request, and to the
write of its first byte to the socket (a TCP handshake later).
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from loopback import Server, quantile, table

from chaoskit.clock import cpu, now
from chaoskit.probe.drive import DriveOptions, Target, drive, warm_up
from chaoskit.records.jsonl import read
from chaoskit.records.model import Request, Vitals
from chaoskit.spec.workload import Workload
from chaoskit.units import Duration

TOKENS = 80
INTERVAL = Duration.parse("125ms")


def main() -> None:
    """Drive, read the records, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rate", type=int, default=45)
    options = parser.parse_args()
    workload = Workload.model_validate({"request-rate": f"{options.rate}/s", "output-tokens": TOKENS})

    async def drive_it(url: str, run: Path) -> float:
        """The share of a core that it took."""
        await warm_up()
        order = DriveOptions(seed=7, start=now() + 100_000_000, length=int(options.seconds * 1e9), drain=15 * 10**9)
        began, spent = now(), cpu()
        await drive(Target(url), workload, order, run, asyncio.Event())
        return (cpu() - spent) / (now() - began)

    with Server(INTERVAL) as server, tempfile.TemporaryDirectory() as directory:
        run = Path(directory)
        share = asyncio.run(drive_it(server.url, run))
        requests, vitals = read(run, Request), read(run, Vitals)

    started = [one.started - one.scheduled for one in requests]
    sent = [one.sent - one.scheduled for one in requests if one.sent]
    loop = [one.lag for one in vitals]
    print(f"{len(requests)} requests at {options.rate}/s, {share:.0%} of a core, at most "
          f"{max(one.open for one in vitals)} open, "
          f"{sum(one.completion == 'complete' for one in requests)} complete")  # fmt: skip
    rows = [
        ("scheduled to started", started),
        ("scheduled to sent", sent),
        ("loop lag, worst of each 0.5 s", loop),
    ]
    print(table(("lag", "p50", "p99", "max"), [
        (name, *(f"{quantile(values, q) / 1e6:.2f} ms" for q in (0.5, 0.99, 1))) for name, values in rows
    ]))  # fmt: skip


if __name__ == "__main__":
    main()
