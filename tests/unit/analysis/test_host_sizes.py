"""Sizes between the hosts of a service lab are told by the sockets of these hosts, and of no others."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_runs import Made, ns

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.result import FidelityCheck
from chaoskit.planning.compile import compile_plan
from chaoskit.records.host_records import ConnectionEnd, EndKind, HostSocket
from chaoskit.spec.load import parse

FILE = """\
name: sizes
question: Was it as asked?
stage:
  lab: service
  hosts: {{gateway: {{run: gateway}}, model: {{run: model, replicas: 2}}}}
  target: http://gateway:8080/v1/chat/completions
workload: {{request-rate: 10/s, output-tokens: 5}}
faults:
  path: {fault}
timeline: [{{baseline: 10s}}, {{path: 10s}}, {{recovery: 10s}}]
"""
PAIR = "{between: [gateway, model], mss-clamp: 1000}"
HOST = "{host: model, mss-clamp: 1000}"
ALL = "{mss-clamp: 1000}"
LINK = "{host: gateway, mtu: 1300}"
STAMPED = 1  # linux/tcp.h: TCPI_OPT_TIMESTAMPS
AT = 11_000


class Sized(Made):
    """A run with this fault, and connections between its hosts."""

    def __init__(self, fault: str) -> None:
        super().__init__(compile_plan(parse(FILE.format(fault=fault), "made.yaml")))
        self.phases(settling=100).many(0, 1000, 100)

    def connection(self, at: float, opener: str, other: str, sizes: dict[str, dict[str, int]]) -> Sized:
        """One that was made then; `sizes` are what the sockets of its ends knew half a second later."""
        port = 40_000 + len(self.records)
        kinds: tuple[tuple[EndKind, str], ...] = (("syn", other), ("syn-ack", opener))
        for kind, place in kinds:
            ends = ((opener, port), (other, 80)) if kind == "syn" else ((other, 80), (opener, port))
            self.records.append(ConnectionEnd(ns(at), place, "eth0", kind, *ends[0], *ends[1]))
        for host, fields in sizes.items():
            ends = ((opener, port), (other, 80)) if host == opener else ((other, 80), (opener, port))
            known = {"state": 1, "snd_mss": 500, "pmtu": 1500, "options": STAMPED} | fields
            self.records.append(HostSocket(ns(at + 500), host, ends[0][1], *ends[1], known))
        return self

    def only(self, folder: Path) -> FidelityCheck:
        """The one check of sizes."""
        (found,) = (each for each in analyse(self.write(folder / "run")).fidelity if each.kind in ("mss", "mtu"))
        return found


@pytest.mark.parametrize(
    ("fault", "opener", "other", "is_for_it"),
    [
        (PAIR, "gateway", "model-2", True),
        (PAIR, "client", "gateway", False),
        (HOST, "gateway", "model-1", True),
        (HOST, "client", "gateway", False),
        (ALL, "client", "gateway", True),
        (ALL, "gateway", "model-1", False),
    ],
)
def test_a_clamp_is_seen_at_both_ends(fault: str, opener: str, other: str, is_for_it: bool, tmp_path: Path) -> None:
    """By the MSS with the timestamps, of the connections that it is for, whatever runs on their hosts."""
    run = Sized(fault).connection(AT, opener, other, {opener: {"snd_mss": 988}, other: {"snd_mss": 988}})

    found = run.only(tmp_path)

    expected = ("achieved", 1000, 2) if is_for_it else ("too-few-packets", None, 0)
    assert (found.verdict, found.measured, found.samples) == expected
    assert found.evidence.file == "host_sockets.jsonl"


def test_an_end_that_sends_more_is_told(tmp_path: Path) -> None:
    """One of two is enough."""
    run = Sized(PAIR).connection(AT, "gateway", "model-1", {"gateway": {"snd_mss": 988}, "model-1": {"snd_mss": 1448}})

    found = run.only(tmp_path)

    assert (found.verdict, found.measured) == ("not-achieved", 1460)
    assert found.remark == "1 of 2 exceed it"


def test_a_smaller_link_is_seen_by_its_host(tmp_path: Path) -> None:
    """Of connections of the phase alone: an older one, and what another host knows, is no evidence."""
    run = Sized(LINK).connection(5000, "gateway", "model-1", {"gateway": {}})
    run.connection(AT, "gateway", "model-1", {"gateway": {"pmtu": 1300}, "model-1": {}})

    found = run.only(tmp_path)

    assert (found.kind, found.verdict, found.requested, found.measured) == ("mtu", "achieved", 1300, 1300)
    assert found.where == "the link of gateway at gateway"


def test_a_phase_without_a_new_connection_says_so(tmp_path: Path) -> None:
    """A pool that keeps its connections."""
    found = Sized(LINK).connection(5000, "gateway", "model-1", {"gateway": {}}).only(tmp_path)

    assert (found.verdict, found.measured) == ("too-few-packets", None)
    assert found.remark == "no connection that was made in this phase was sampled"
