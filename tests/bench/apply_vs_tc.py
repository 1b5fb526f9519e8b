"""Times a two-way netem fault, set, read back and removed: our engine beside tc(8).

    python tests/bench/apply_vs_tc.py [--times 15]

Needs a kernel with netem (make bench runs it in a guest). Both do the same to the same two qdiscs of the edge
lab: read, set, read back, remove, read again. Ours also writes a journal to the disk and waits
for the queue to drain; tc is started as a program each time, as scripts do.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path
from statistics import median

from edge_lab import build, qdiscs

from chaoskit.clock import now
from chaoskit.engine.apply_restore import apply, restore
from chaoskit.engine.journal import Journal
from chaoskit.kernel.features import detect_features
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.knobs import Netem

FAULT = qdiscs("client-router", "both")
OURS = Netem(delay=30_000_000, jitter=5_000_000, limit=2000)
TC = ("netem", "delay", "30ms", "5ms", "limit", "2000")


def main() -> None:
    """Builds the lab, alternates both methods, prints."""
    words = argparse.ArgumentParser()
    words.add_argument("--times", type=int, default=15)
    times = words.parse_args().times
    with (
        tempfile.TemporaryDirectory(prefix="chaoskit-") as folder,
        LinuxKernel(detect_features()) as kernel,
        Journal.at(Path(folder)) as stage,
    ):
        begun = now()
        changes = build(frozenset(FAULT))
        for change in changes:
            apply(kernel, stage, change)
        built = now() - begun
        ours, theirs = [], []
        for number in range(times):
            run = Path(folder, str(number))
            run.mkdir()
            ours.append(through_the_engine(kernel, run))
            theirs.append(through_tc(kernel))
        begun = now()
        left = restore(kernel, stage)
        undone = now() - begun
    print(f"two-way netem, applied, read back and restored; median of {times}")
    print(f"  chaoskit  {median(ours) / 1e6:7.1f} ms  ({min(ours) / 1e6:.1f} to {max(ours) / 1e6:.1f})")
    print(f"  tc        {median(theirs) / 1e6:7.1f} ms  ({min(theirs) / 1e6:.1f} to {max(theirs) / 1e6:.1f})")
    print(f"  chaoskit takes {median(ours) / median(theirs):.2f} of the time of tc")
    print(
        f"the edge lab, {len(changes)} knobs: built in {built / 1e6:.0f} ms, gone in {undone / 1e6:.0f} ms, left {left}"
    )


def through_the_engine(kernel: LinuxKernel, run: Path) -> int:
    """The time taken, in ns."""
    begun = now()
    with Journal.at(run) as journal:
        for knob in FAULT:
            apply(kernel, journal, (knob, OURS))
        assert restore(kernel, journal) == []
    return now() - begun


def through_tc(kernel: LinuxKernel) -> int:
    """The time taken, in ns."""
    begun = now()
    with kernel.inside("router"):
        for knob in FAULT:
            assert "netem" not in shown(knob.name)
            subprocess.run(["tc", "qdisc", "add", "dev", knob.name, "root", *TC], check=True)
            assert "netem" in shown(knob.name)
        for knob in FAULT:
            subprocess.run(["tc", "qdisc", "del", "dev", knob.name, "root"], check=True)
            assert "netem" not in shown(knob.name)
    return now() - begun


def shown(link: str) -> list[str]:
    """The kinds of the qdiscs that tc shows on a link."""
    look = ["tc", "-j", "qdisc", "show", "dev", link]
    printed = subprocess.run(look, capture_output=True, text=True, check=True).stdout
    return [qdisc["kind"] for qdisc in json.loads(printed)]


if __name__ == "__main__":
    main()
