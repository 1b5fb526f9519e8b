"""Was the fault what was asked for?"""

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


def achieved(tmp_path: Path, made: Made) -> dict[str, FidelityCheck]:
    """Each achievement by what it is about."""
    return {each.kind: each for each in analyse(made.many(0, 1000, 100).write(tmp_path / "run")).fidelity}


def loss(tmp_path: Path, packets: int, drops: int, netem: str = "{loss: 10%}", qlen: int = 0) -> FidelityCheck:
    """The achieved loss with these counters."""
    made = Made(plan(netem=netem)).phases().counters("wifi", packets, drops, 10_000, 20_000, qlen)
    return achieved(tmp_path, made)["loss"]


def test_the_asked_loss_is_achieved(tmp_path: Path) -> None:
    """1020 of 10000 packets lost at 10 % is chance; the share counts what was dropped among all that came."""
    found = loss(tmp_path, 8980, 1020)

    assert (found.verdict, found.requested, found.measured, found.samples) == (
        "achieved",
        pytest.approx(0.1),
        0.102,
        10_000,
    )
    assert found.where == "client-router down"


@pytest.mark.parametrize("drops", [880, 1120])
def test_another_loss_is_not_achieved(tmp_path: Path, drops: int) -> None:
    """12 % too few or too many of 10000 is no chance."""
    assert loss(tmp_path, 10_000 - drops, drops).verdict == "not-achieved"


def test_bursts_need_more_packets(tmp_path: Path) -> None:
    """What would be too much for independent loss is chance for bursts; few packets tell nothing."""
    independent = loss(tmp_path / "a", 9600, 400, "{loss: 3.2258%}")
    bursts = loss(tmp_path / "b", 9600, 400, BURSTS)
    few = loss(tmp_path / "c", 970, 30, BURSTS)

    assert independent.verdict == "not-achieved"
    assert bursts.verdict == "achieved"
    assert bursts.tolerance == pytest.approx(2.33 * independent.tolerance, rel=0.05)
    assert few.verdict == "too-few-packets"


def test_no_packet_is_no_fault(tmp_path: Path) -> None:
    """A queue that nothing passed did nothing; one that nobody looked at may have."""
    assert loss(tmp_path / "a", 0, 0).verdict == "not-achieved"
    unseen = achieved(tmp_path / "b", Made(plan(netem="{loss: 10%}")).phases())["loss"]
    assert unseen.verdict == "too-few-packets"


def test_an_overflow_is_named(tmp_path: Path) -> None:
    """More drops than asked from a queue that was seen full are the queue's."""
    found = loss(tmp_path, 5000, 2000, "{loss: 10%, delay: 30ms, limit: 1000}", qlen=990)

    assert found.verdict == "not-achieved"
    assert found.samples == 5000 + 2000 + 990
    assert "overflowed" in found.remark
    assert "1000" in found.remark


def test_a_queue_made_anew_counts_from_nothing(tmp_path: Path) -> None:
    """Counters that fall within a phase belong to a new queue: both stretches count."""
    made = Made(plan(netem="{loss: 10%}")).phases()
    made.counters("wifi", 900, 100, 10_000, 11_000).counters("wifi", 893, 99, 12_000, 13_000)

    found = achieved(tmp_path, made)["loss"]

    # the second queue had passed 7 and dropped 1 when it was first seen
    assert (found.samples, round((found.measured or 0) * found.samples)) == (1000 + 8 + 992, 100 + 1 + 99)


def test_the_drain_is_its_last_phases_and_rounds_are_apart(tmp_path: Path) -> None:
    """Packets of the drain count for the phase before it; those between two rounds for neither."""
    made = Made(plan(netem="{loss: 10%}", timeline="[{baseline: 10s}, {wifi: 10s}]")).phases()
    made.counters("wifi", 900, 100, 10_000, 20_000)
    looks = [("wifi", 0, 907, 101), ("drain", 0, 997, 111), ("wifi", 1, 5997, 2111), ("wifi", 1, 6897, 2211)]
    for index, (phase, number, packets, drops) in enumerate(looks):
        at = ns(20_100 + index)
        made.records.append(Counters(at, "router", "to-client", phase, number, packets, 0, drops, 0, 0, 0))

    found = achieved(tmp_path, made)["loss"]

    assert (found.samples, found.measured) == (1000 + 100 + 1000, pytest.approx(0.1))


def round_trip(tmp_path: Path, rtts: list[float], netem: str = "{delay: 30ms}") -> FidelityCheck:
    """The achieved round trip with these handshakes in wifi, and 1 ms in the baseline."""
    made = Made(plan(netem=netem)).phases().counters("wifi", 900, 0, 10_000, 20_000)
    return achieved(tmp_path, made.handshakes(1000, [1] * 20).handshakes(11_000, rtts))["round-trip"]


def test_the_asked_round_trip_is_achieved(tmp_path: Path) -> None:
    """30 ms more than the baseline, by the median: a lost handshake packet does not count as delay."""
    found = round_trip(tmp_path, [31.2] * 15 + [1031] * 4)

    assert found.verdict == "achieved"
    assert (found.requested, found.measured) == (30, pytest.approx(30.2))


@pytest.mark.parametrize("rtt", [26.9, 35.1, 1])
def test_another_round_trip_is_not_achieved(tmp_path: Path, rtt: float) -> None:
    """More than a tenth and 2 ms away is another delay."""
    assert round_trip(tmp_path, [rtt] * 20).verdict == "not-achieved"


def test_jitter_widens_the_tolerance(tmp_path: Path) -> None:
    """With 20 ms of jitter and four by four handshakes a median may be 20 ms off."""
    found = round_trip(tmp_path, [46] * 16, "{delay: 30ms, jitter: 20ms}")

    assert found.tolerance == pytest.approx(2 + 4 * 20 / 4)
    assert found.verdict == "achieved"


def test_few_handshakes_tell_nothing(tmp_path: Path) -> None:
    """Four are too few, and those that reach over a phase's border are none of it."""
    assert round_trip(tmp_path, [31] * 4).verdict == "too-few-packets"
    made = Made(plan(netem="{delay: 30ms}")).phases(settling=10).handshakes(10_000, [31] * 6)
    assert achieved(tmp_path / "b", made)["round-trip"].samples == 1


def test_a_run_of_before_filters_were_counted_is_read(tmp_path: Path) -> None:
    """Its counters do not say of what kind they are: of queues."""
    made = Made(plan(netem="{loss: 10%}")).phases().counters("wifi", 8980, 1020, 10_000, 20_000)
    run = made.many(0, 1000, 100).write(tmp_path / "run")
    now = analyse(run).fidelity
    file = run / "counters.jsonl"

    text = file.read_text()
    file.write_text(text.replace(',"kind":"qdisc"', ""))

    assert file.read_text() != text
    assert analyse(run).fidelity == now


def test_what_was_not_reached_is_not_judged(tmp_path: Path) -> None:
    """A run that ended before its fault has no achievement, and no complaint about one."""
    made = Made(plan()).phases()
    made.records = [record for record in made.records if getattr(record, "name", "baseline") == "baseline"]

    assert achieved(tmp_path, made) == {}


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
    """The achieved loss of a real interface, when so many packets of so many bytes came through."""
    made = Made(compile_plan(parse(REAL, "made.yaml"), HostLookups("eth0", mtu=mtu))).phases()
    for at, looks in ((10_000, (7, 700, 1)), (20_000, (7 + packets, 700 + packets * size, 1 + drops))):
        count, total, lost = looks
        made.records.append(Counters(ns(at), "", "chaos-down", "lossy", 0, count, total, lost, 0, 0, 0))
    return achieved(tmp_path, made)["loss"]


def test_an_interface_is_told_by_its_counters(tmp_path: Path) -> None:
    """Small packets come one by one, and their share is what it is in a lab."""
    assert on_interface(tmp_path / "a", 9000, 300, 1000).verdict == "achieved"
    assert on_interface(tmp_path / "b", 9900, 80, 100).verdict == "not-achieved"
    assert on_interface(tmp_path / "c", 9900, 80, 100).where == "down"


def test_trains_are_lost_whole(tmp_path: Path) -> None:
    """Full segments may have come in trains, which are dropped as one and counted as many: few drops are no proof."""
    found = on_interface(tmp_path / "a", 9900, 1500, 100)

    assert found.verdict == "too-few-packets"
    assert "GSO packets" in found.remark
    assert on_interface(tmp_path / "b", 5000, 1500, 5000).verdict == "not-achieved"


def test_loopback_has_no_trains_of_small_packets(tmp_path: Path) -> None:
    """Where a segment may have 64 kB, what is smaller is a packet of its own."""
    assert on_interface(tmp_path, 9900, 1500, 100, mtu=65536).verdict == "not-achieved"
