"""Runs in a guest: examines every path of the lab, asks tracepath about the same, and writes it down as JSON.

    every_path.py ANSWER SEED

Each as root, `raw`, and every other one also as everybody may: by datagrams alone, `udp`, or by pings as well, `ping`.
Black holes between them are mended as the doctor says, and examined again: `mended` by the first command, `probing` by
the sysctl.
"""

from __future__ import annotations

import json
import os
import sys
from itertools import cycle
from pathlib import Path
from typing import Any

sys.path.insert(0, os.fspath(Path(__file__).parents[1]))

from narrow_paths import HOST, PORT, Lab, NarrowPath, packets_sent, paths, sh, tracepath

from chaoskit.clock import RealClock
from chaoskit.pathmtu.error_queue import ErrorQueueSocket
from chaoskit.pathmtu.examination import Findings, examine
from chaoskit.pathmtu.prepare import PACKETS, prepare
from chaoskit.pathmtu.transport import Budget
from chaoskit.pathmtu.verdict import judge
from chaoskit.report.pathmtu import document

GROUPS = {"udp": "1 0", "ping": "0 4294967294"}
TIME = "60s"


def main(answer: Path, seed: int) -> None:
    """All of them."""
    lab = Lab()
    rows = []
    mends = cycle(("mended", "probing"))
    for number, truth in enumerate(paths(seed)):
        with lab.path(truth), lab.inside("client"):
            theirs, _ = tracepath(truth)
            lab.forget()
            found = examined(truth, "raw")
            rows.append(row(truth, "raw", found, theirs))
            if number % 2:
                rights = "udp" if number % 4 == 1 else "ping"
                lab.forget()
                rows.append(row(truth, rights, examined(truth, rights), theirs))
            elif found["exit_code"] == 1 and truth.at:
                how = next(mends)
                lab.forget()
                rows.append(row(truth, how, mended(truth, found, how), theirs))
    answer.write_text(json.dumps(rows))


def examined(truth: NarrowPath, rights: str) -> dict[str, Any]:
    """What is found with these rights; and how many packets our kernel has sent meanwhile."""
    before = packets_sent(truth.version)
    findings = look(truth, rights)
    sent = packets_sent(truth.version) - before
    return document(findings, judge(findings)) | {"kernel_sent": sent}


def mended(truth: NarrowPath, found: dict[str, Any], how: str) -> dict[str, Any]:
    """What is found after a command of the verdict was typed; then it is undone."""
    typed = next(mend["what"] for mend in found["mend"] if ("sysctl" in mend["what"]) == (how == "probing"))
    sh(typed.removeprefix("sudo "))
    try:
        return examined(truth, "raw")
    finally:
        if how == "probing":
            sh("sysctl -qw net.ipv4.tcp_mtu_probing=0 net.ipv4.tcp_base_mss=1024")
        else:
            sh(f"ip -{truth.version} route del {HOST[truth.version]}")


def look(truth: NarrowPath, rights: str) -> Findings:
    """Examine it with these rights."""
    examination = prepare(HOST[truth.version], PORT, None, PACKETS, TIME)
    if rights == "raw":
        return examination.run(lambda burst: None)
    Path("/proc/sys/net/ipv4/ping_group_range").write_text(GROUPS[rights])
    clock = RealClock()
    with ErrorQueueSocket(examination.setup.endpoints, clock) as wire:
        budget = Budget(PACKETS, clock.now() + examination.time)
        return examine(examination.setup, wire, budget, clock, lambda burst: None)


def row(truth: NarrowPath, rights: str, document: dict[str, Any], theirs: int | None) -> dict[str, Any]:
    """The truth, what we make of it in the same words, and tracepath's path MTU."""
    hop = document["hop"] or {"index": 0, "address": None}
    return {
        "path": str(truth),
        "rights": rights,
        "truth": {"mtu": truth.mtu, "kind": truth.kind, "at": truth.at, "hop": truth.hop},
        "ours": {"mtu": document["path_mtu"], "kind": document["kind"], "at": hop["index"], "hop": hop["address"]},
        "tracepath": theirs,
        "is_silent": truth.kind in ("black-hole", "clamped") and truth.mtu < truth.link,
        "document": document,
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
