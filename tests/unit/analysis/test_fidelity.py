"""Whether loss and delay were achieved as requested."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_runs import Made, ns, plan

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.result import FidelityCheck
from chaoskit.host_lookups import HostLookups
from chaoskit.plan.compile import compile_plan
from chaoskit.records.model import Counters
from chaoskit.spec.load import parse

BURSTS = "{loss: {gemodel: {p: 1%, r: 30%}}}"


def checks(tmp_path: Path, made: Made) -> dict[str, FidelityCheck]:
    """Each check by its kind."""
    return {each.kind: each for each in analyse(made.many(0, 1000, 100).write(tmp_path / "run")).fidelity}


def loss(tmp_path: Path, packets: int, drops: int, netem: str = "{loss: 10%}", qlen: int = 0) -> FidelityCheck:
    """The check of the loss with these counters."""
    made = Made(plan(netem=netem)).phases().counters("wifi", packets, drops, 10_000, 20_000, qlen)
    return checks(tmp_path, made)["loss"]


def test_the_requested_loss_is_achieved(tmp_path: Path) -> None:
    """1020 of 10000 packets lost at 10 % is within the tolerance; the share is of all packets that were offered."""
    found = loss(tmp_path, 8980, 1020)

    assert (found.verdict, found.measured, found.samples) == ("achieved", 0.102, 10_000)
    assert found.requested == pytest.approx(0.1)
    assert found.where == "client-router down"


@pytest.mark.parametrize("drops", [880, 1120])
def test_another_loss_is_not_achieved(tmp_path: Path, drops: int) -> None:
    """12 % too few or too many of 10000 is beyond the tolerance."""
    assert loss(tmp_path, 10_000 - drops, drops).verdict == "not-achieved"


def test_bursts_need_more_packets(tmp_path: Path) -> None:
    """A deviation too large for independent loss is within the tolerance for bursts; few packets decide nothing."""
    independent = loss(tmp_path / "a", 9600, 400, "{loss: 3.2258%}")
    bursts = loss(tmp_path / "b", 9600, 400, BURSTS)
    few = loss(tmp_path / "c", 970, 30, BURSTS)

    assert independent.verdict == "not-achieved"
    assert bursts.verdict == "achieved"
    assert bursts.tolerance == pytest.approx(2.33 * independent.tolerance, rel=0.05)
    assert few.verdict == "too-few-packets"


def test_a_queue_without_packets_is_not_achieved(tmp_path: Path) -> None:
    """A queue that no packet passed had no effect; one that was not sampled may have had one."""
    assert loss(tmp_path / "a", 0, 0).verdict == "not-achieved"
    unseen = checks(tmp_path / "b", Made(plan(netem="{loss: 10%}")).phases())["loss"]
    assert unseen.verdict == "too-few-packets"


def test_an_overflow_is_named(tmp_path: Path) -> None:
    """More drops than requested from a queue that was seen full are attributed to the queue's limit."""
    found = loss(tmp_path, 5000, 2000, "{loss: 10%, delay: 30ms, limit: 1000}", qlen=990)

    assert found.verdict == "not-achieved"
    assert found.samples == 5000 + 2000 + 990
    assert "overflowed" in found.remark
    assert "1000" in found.remark


def test_a_new_queue_counts_from_zero(tmp_path: Path) -> None:
    """Counters that decrease within a phase belong to a new queue: both parts count."""
    made = Made(plan(netem="{loss: 10%}")).phases()
    made.counters("wifi", 900, 100, 10_000, 11_000).counters("wifi", 893, 99, 12_000, 13_000)

    found = checks(tmp_path, made)["loss"]

    # the second queue had passed 7 and dropped 1 when it was first seen
    assert (found.samples, round((found.measured or 0) * found.samples)) == (1000 + 8 + 992, 100 + 1 + 99)


def test_the_drain_belongs_to_the_last_phase(tmp_path: Path) -> None:
    """Packets of the drain count for the phase before it; those between two rounds for neither."""
    made = Made(plan(netem="{loss: 10%}", timeline="[{baseline: 10s}, {wifi: 10s}]")).phases()
    made.counters("wifi", 900, 100, 10_000, 20_000)
    looks = [("wifi", 0, 907, 101), ("drain", 0, 997, 111), ("wifi", 1, 5997, 2111), ("wifi", 1, 6897, 2211)]
    for index, (phase, number, packets, drops) in enumerate(looks):
        at = ns(20_100 + index)
        made.records.append(Counters(at, "router", "to-client", phase, number, packets, 0, drops, 0, 0, 0))

    found = checks(tmp_path, made)["loss"]

    assert found.samples == 1000 + 100 + 1000
    assert found.measured == pytest.approx(0.1)


def round_trip(tmp_path: Path, rtts: list[float], netem: str = "{delay: 30ms}") -> FidelityCheck:
    """The check of the round trip with these handshakes in wifi, and 1 ms in the baseline."""
    made = Made(plan(netem=netem)).phases().counters("wifi", 900, 0, 10_000, 20_000)
    return checks(tmp_path, made.handshakes(1000, [1] * 20).handshakes(11_000, rtts))["round-trip"]


def test_the_requested_round_trip_is_achieved(tmp_path: Path) -> None:
    """30 ms more than the baseline, by the median: a lost handshake packet does not count as delay."""
    found = round_trip(tmp_path, [31.2] * 15 + [1031] * 4)

    assert found.verdict == "achieved"
    assert found.requested == 30
    assert found.measured == pytest.approx(30.2)


@pytest.mark.parametrize("rtt", [26.9, 35.1, 1])
def test_another_round_trip_is_not_achieved(tmp_path: Path, rtt: float) -> None:
    """More than a tenth and 2 ms away is another delay."""
    assert round_trip(tmp_path, [rtt] * 20).verdict == "not-achieved"


def test_jitter_widens_the_tolerance(tmp_path: Path) -> None:
    """With 20 ms of jitter and four by four handshakes a median may be 20 ms off."""
    found = round_trip(tmp_path, [46] * 16, "{delay: 30ms, jitter: 20ms}")

    assert found.tolerance == pytest.approx(2 + 4 * 20 / 4)
    assert found.verdict == "achieved"


def test_few_handshakes_decide_nothing(tmp_path: Path) -> None:
    """Four are too few, and those that cross the border of a phase do not count."""
    assert round_trip(tmp_path, [31] * 4).verdict == "too-few-packets"
    made = Made(plan(netem="{delay: 30ms}")).phases(settling=10).handshakes(10_000, [31] * 6)
    assert checks(tmp_path / "b", made)["round-trip"].samples == 1


def test_counters_without_a_kind_are_of_queues(tmp_path: Path) -> None:
    """Counters of older runs have no kind."""
    made = Made(plan(netem="{loss: 10%}")).phases().counters("wifi", 8980, 1020, 10_000, 20_000)
    run = made.many(0, 1000, 100).write(tmp_path / "run")
    now = analyse(run).fidelity
    file = run / "counters.jsonl"

    text = file.read_text()
    file.write_text(text.replace(',"kind":"qdisc"', ""))

    assert file.read_text() != text
    assert analyse(run).fidelity == now


def test_a_phase_that_was_not_reached_has_no_check(tmp_path: Path) -> None:
    """A run that ended before its fault has no check of it."""
    made = Made(plan()).phases()
    made.records = [record for record in made.records if getattr(record, "name", "baseline") == "baseline"]

    assert checks(tmp_path, made) == {}


REAL = """\
name: real
question: Whose packets?
stage: {target: "http://192.0.2.7"}
workload: {request-rate: 10/s, output-tokens: 5}
faults:
  lossy: {direction: down, netem: {loss: 10%}}
timeline: [{baseline: 10s}, {lossy: 10s}, {recovery: 10s}]
"""


def on_interface(tmp_path: Path, packets: int, size: int, drops: int, mtu: int = 1500) -> FidelityCheck:
    """The check of the loss on a real interface, with so many packets of so many bytes."""
    made = Made(compile_plan(parse(REAL, "made.yaml"), HostLookups("eth0", mtu=mtu))).phases()
    for at, looks in ((10_000, (7, 700, 1)), (20_000, (7 + packets, 700 + packets * size, 1 + drops))):
        count, total, lost = looks
        made.records.append(Counters(ns(at), "", "chaos-down", "lossy", 0, count, total, lost, 0, 0, 0))
    return checks(tmp_path, made)["loss"]


def test_small_packets_on_an_interface_are_single(tmp_path: Path) -> None:
    """Small packets are not GSO packets, and their share is as in a lab."""
    assert on_interface(tmp_path / "a", 9000, 300, 1000).verdict == "achieved"
    assert on_interface(tmp_path / "b", 9900, 80, 100).verdict == "not-achieved"
    assert on_interface(tmp_path / "c", 9900, 80, 100).where == "down"


def test_gso_packets_are_dropped_whole(tmp_path: Path) -> None:
    """Full segments may be of GSO packets, which are dropped as one and counted as many: few drops are no proof."""
    found = on_interface(tmp_path / "a", 9900, 1500, 100)

    assert found.verdict == "too-few-packets"
    assert "GSO packets" in found.remark
    assert on_interface(tmp_path / "b", 5000, 1500, 5000).verdict == "not-achieved"


def test_small_packets_on_loopback_are_single(tmp_path: Path) -> None:
    """Where a segment may have 64 kB, a smaller one is a packet of its own."""
    assert on_interface(tmp_path, 9900, 1500, 100, mtu=65536).verdict == "not-achieved"
