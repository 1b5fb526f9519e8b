"""Packets and seconds to a verdict about the same paths: chaoskit pmtu beside tracepath, in one guest.

    PYTHONPATH=tests python tests/bench/pmtu_vs_tracepath.py [--seed 7]

The paths are those of tests/narrow_paths.py, of which every answer is known; time is virtual, so that the seconds
are those of waiting alone, and the wire's delay is netem's 10 ms each way. Packets are counted by the kernel. Both
have their defaults: tracepath goes on for 30 hops and asks each silent one thrice. `right` is, for tracepath, its path
MTU; for chaoskit the path MTU, the kind and the hop, and a long body of 16 kB is among its packets.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent))

from loopback import table
from narrow_paths import HOST, PORT, Lab, NarrowPath, packets_sent, paths, sh, tracepath

from chaoskit.clock import RealClock, now
from chaoskit.pathmtu.examination import Findings
from chaoskit.pathmtu.prepare import PACKETS, prepare
from chaoskit.pathmtu.verdict import judge
from chaoskit.substrate import uml
from chaoskit.substrate.running import Command
from chaoskit.units import Duration

KINDS = ("wide-open", "signalled", "clamped", "black-hole")
LIMIT = Duration.parse("5min")
HOPS = 30  # tracepath's own limit


def main() -> None:
    """Boot a guest, examine there, and print."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--seed", type=int, default=7)
    words.add_argument("--inside", type=Path, help="in the guest: where to write the answer")
    asked = words.parse_args()
    if asked.inside:
        asked.inside.write_text(json.dumps(examine(asked.seed)))
        return
    with tempfile.TemporaryDirectory(prefix="chaoskit-") as folder:
        answer = Path(folder) / "answer.json"
        argv = (sys.executable, __file__, "--seed", str(asked.seed), "--inside", str(answer))
        guest = uml.Uml(uml.find(), options=uml.virtual_time(asked.seed)).launch(
            Command(argv, Path(folder), LIMIT), RealClock()
        )
        if guest.finish() != 0:
            sys.exit(guest.log.read_text())
        show(json.loads(answer.read_text()))


def examine(seed: int) -> list[dict[str, float | str]]:
    """Each path by each of the two."""
    lab = Lab()
    for node, link in (("client", "e1"), ("r1", "w1")):
        with lab.inside(node):
            sh(f"tc qdisc add dev {link} root netem delay 10ms limit 10000")
    rows: list[dict[str, float | str]] = []
    for truth in paths(seed):
        with lab.path(truth), lab.inside("client"):
            for name, look in (("chaoskit", ours), ("tracepath", theirs)):
                lab.forget()
                sent, begun = packets_sent(truth.version), now()
                is_right = look(truth)
                spent = {"packets": packets_sent(truth.version) - sent, "seconds": (now() - begun) / 1e9}
                rows.append({"kind": truth.kind, "who": name, "right": is_right, **spent})
    return rows


def ours(truth: NarrowPath) -> bool:
    """Whether our verdict is the truth."""
    found: Findings = prepare(HOST[truth.version], PORT, None, PACKETS, "60s").run(lambda burst: None)
    hop = found.where or (found.drop_point.reached if found.drop_point else None)
    seen = (found.passes if found.is_exact else None, judge(found).kind, hop.index if hop else 0)
    return seen == (truth.mtu, truth.kind, truth.at)


def theirs(truth: NarrowPath) -> bool:
    """Whether tracepath's path MTU is."""
    return tracepath(truth, HOPS)[0] == truth.mtu


def show(rows: list[dict[str, float | str]]) -> None:
    """A line for each kind, medians of each, and ours as a share of theirs."""
    by: dict[tuple[str, str], list[dict[str, float | str]]] = defaultdict(list)
    for row in rows:
        by[str(row["kind"]), str(row["who"])].append(row)
    lines = []
    for kind in KINDS:
        cells = [kind, str(len(by[kind, "chaoskit"]))]
        middle = {}
        for who in ("chaoskit", "tracepath"):
            each = by[kind, who]
            middle[who] = [median(float(row[what]) for row in each) for what in ("packets", "seconds")]
            cells.append(f"{middle[who][0]:.0f} / {middle[who][1]:.2f} s / {sum(bool(row['right']) for row in each)}")
        ratios = [one / other for one, other in zip(middle["chaoskit"], middle["tracepath"], strict=True)]
        lines.append((*cells, f"{ratios[0]:.2f} / {ratios[1]:.2f}"))
    print("packets and seconds (median) to a verdict, and how many were right; 20 ms there and back, virtual time")
    print(table(("path", "paths", "chaoskit pmtu", "tracepath", "ratio"), lines))


if __name__ == "__main__":
    main()
