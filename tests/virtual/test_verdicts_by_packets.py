"""Whose a stall was, by the packets alone, against the truth that the reference server's stamps tell.

A lossy path (bursts, so that whole flights are lost) and a server that pauses, at once; the verdicts see no stamp.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from chaoskit.analysis.attribution.run_evidence import run_evidence, timeline_of
from chaoskit.analysis.attribution.stalls import verdicts
from chaoskit.analysis.load import load_records
from chaoskit.analysis.network.connections_seen import SeenConnections
from chaoskit.analysis.segments.captured_connections import load_capture
from chaoskit.analysis.segments.cause import cause
from chaoskit.analysis.segments.gap_evidence import gap_evidence
from chaoskit.analysis.streams.gaps import Gaps
from chaoskit.clock import RealClock
from chaoskit.records.jsonl import FILES, read
from chaoskit.records.model import Request, SocketRead
from chaoskit.records.pcapng import CAPTURE
from chaoskit.substrate import uml
from chaoskit.substrate.running import Command
from chaoskit.units import Duration

FILE = """\
name: whose
question: Whose are these stalls?
stage: {{lab: edge, ip: {version}}}
workload: {{request-rate: 5/s, burstiness: 0, output-tokens: 100, prompt-size: 500B}}
evidence: {{capture: true}}
server:
  first-token: {{median: 150ms, p99: 300ms}}
  token-interval: 20ms
  pause:
    - {{after: 30, for: 350ms, share: 25%}}
    - {{after: 55, for: 600ms, share: 25%}}
    - {{after: 80, for: 260ms, share: 25%}}
faults:
  wifi:
    - {{link: {link}, direction: down, netem: {{delay: 20ms, loss: {{gemodel: {{p: 4%, r: 25%}}}}}}}}
    - {{link: client-router, direction: up, netem: {{delay: 20ms}}}}
timeline: [{{wifi: 12s}}]
seed: 7
"""
STALL = 200_000_000  # ns
LOSSY = {4: ("client-router", "between router and client"), 6: ("router-server", "between server and router")}
"""The link that loses packets by the version of IP, and what it is called as a place."""
Pairs = Counter[tuple[str, str]]


@dataclass(frozen=True)
class Judged:
    """The run, and how many stalls of each truth got each verdict."""

    run: Path
    pairs: Pairs

    def precision(self, side: str) -> float:
        """Of the stalls that got this verdict, how many deserved it."""
        said = sum(count for (_, verdict), count in self.pairs.items() if verdict == side)
        return self.pairs[side, side] / said

    def recall(self, side: str) -> float:
        """Of the stalls that deserved this verdict, how many got it."""
        true = sum(count for (truth, _), count in self.pairs.items() if truth == side)
        return self.pairs[side, side] / true


def tokens(run: Path) -> dict[int, list[tuple[int, int]]]:
    """Of each stream, when each token arrived and when the server had sent it."""
    found: dict[int, list[tuple[int, int]]] = {}
    for each in read(run, SocketRead):
        found.setdefault(each.stream, []).extend((each.at, event.sent) for event in each.events if event.sent)
    return found


def stalls(run: Path) -> Iterator[tuple[int, int, int, str]]:
    """Each stall's stream, begin and end, and whose it was by the stamps."""
    for stream, seen in tokens(run).items():
        for (begin, sent), (end, sent_after) in pairwise(seen):
            if end - begin > STALL:
                server = sent_after - sent
                yield stream, begin, end, "server" if server > end - begin - server else "network"


def judge(run: Path) -> Pairs:
    """The verdicts of the packets on the stalls of a run."""
    ports = {each.stream: each.port for each in read(run, Request) if each.port is not None}
    capture = load_capture(run / CAPTURE, set(ports.values()))
    assert capture is not None
    assert (capture.dropped, capture.is_torn, capture.left_out) == (0, False, 0)
    pairs: Pairs = Counter()
    for stream, begin, end, truth in stalls(run):
        connection = capture.connection(ports[stream], begin)
        assert connection is not None
        pairs[truth, cause(gap_evidence(connection, begin, end)).side] += 1
    return pairs


@pytest.fixture(scope="module")
def judged(kernel: uml.GuestKernel, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Judged]:
    """The run over this version of IP, and its verdicts."""
    done: dict[int, Judged] = {}

    def of(version: int) -> Judged:
        if version not in done:
            folder = tmp_path_factory.mktemp(f"ipv{version}")
            (folder / "whose.yaml").write_text(FILE.format(version=version, link=LOSSY[version][0]))
            words = ["run", str(folder / "whose.yaml"), "--substrate", "here", "--out", str(folder / "run")]
            guest = uml.Uml(kernel, options=uml.virtual_time(1)).launch(
                Command((sys.executable, "-m", "chaoskit", *words), folder, Duration.parse("120s")), RealClock()
            )
            assert guest.finish() == 0, guest.log.read_text()
            done[version] = Judged(folder / "run", judge(folder / "run"))
        return done[version]

    return of


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("side", ["network", "server"])
def test_verdicts_are_right(judged: Callable[[int], Judged], version: int, side: str) -> None:
    """Precision and recall of nine in ten and more; eight over IPv6, which does not count packets."""
    found, least = judged(version), 0.9 if version == 4 else 0.8

    assert sum(found.pairs.values()) > 60, found.pairs
    assert found.precision(side) >= least, found.pairs
    assert found.recall(side) >= least, found.pairs


def without_stamps(run: Path, folder: Path) -> Path:
    """The same run, as if another server had answered."""
    bare = folder / "bare"
    bare.mkdir()
    for path in run.iterdir():
        if path.is_file() and path.name not in ("served.jsonl", FILES[SocketRead], "result.json"):
            (bare / path.name).write_bytes(path.read_bytes())
    with (bare / FILES[SocketRead]).open("w") as file:
        for line in (run / FILES[SocketRead]).read_text().splitlines():
            head, events = json.loads(line)[:6], json.loads(line)[6:]
            bared = [value for place in range(0, len(events), 4) for value in (events[place], None, None, None)]
            file.write(json.dumps(head + bared) + "\n")
    return bare


@pytest.mark.parametrize("version", [4, 6])
def test_a_foreign_server_s_run_says_the_same(judged: Callable[[int], Judged], tmp_path: Path, version: int) -> None:
    """Without a stamp each stall has the cause that the stamps told, and names its packets; the kind is loss.

    By what the router saw nearly all are right, and each of the network's has its place: that of the fault.
    """
    run = judged(version).run
    truth = {(stream, begin): side for stream, begin, _, side in stalls(run)}
    raw = load_records(without_stamps(run, tmp_path))
    seen = SeenConnections(raw.connection_ends, raw.host_sockets)
    table = raw.streams.table

    every = verdicts(Gaps(table, np.flatnonzero(table.is_gap)), run_evidence(raw, timeline_of(raw), seen).evidence)

    found = [each for each in every if (each.stall.gap.stream, each.stall.gap.begin) in truth]
    right = [each for each in found if each.cause == truth[each.stall.gap.stream, each.stall.gap.begin]]
    assert len(found) == len(truth)
    assert len(right) >= 0.96 * len(found), [each.sentence for each in found if each not in right]
    assert all("capture-router.pcapng" in each.records[-1] for each in found)
    assert {each.place for each in found} == {LOSSY[version][1], ""}
    unplaced = [each for each in found if (each.cause == "network") != bool(each.place)]
    assert len(unplaced) <= 0.02 * len(found), [each.sentence for each in unplaced]
    kinds = Counter(each.kind for each in found if each.cause == "network")
    assert kinds["loss"] >= 0.9 * kinds.total(), kinds


def test_what_the_kernels_counted_is_in_the_result(judged: Callable[[int], Judged]) -> None:
    """In each namespace: the server sent again, after timers and probes; what is not counted has its reason."""
    result = json.loads((judged(4).run / "result.json").read_text())
    (phase,) = result["phases"]
    counted = {each["place"]: each for each in phase["namespaces"]}

    assert set(counted) == {"client", "router", "server"}
    server, router = counted["server"]["counters"], counted["router"]["counters"]
    assert server["TcpRetransSegs"] >= server["TcpExtTCPTimeouts"] > 10
    assert server["TcpExtTCPLossProbes"] > 0
    assert router["TcpRetransSegs"] == 0
    assert all("ConntrackDrop" in {**each["counters"], **each["missing"]} for each in counted.values())
    assert result["machine"]["sysctls"]["net.ipv4.tcp_sack"] == "1"
    assert result["machine"]["offloads"].keys() == {"tso", "gso", "gro"}
    assert (result["machine"]["load"], result["machine"]["steal"]) == ([], None)
