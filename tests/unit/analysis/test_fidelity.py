"""Whether loss and delay were achieved as requested."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from made_runs import Made, ns, plan

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.result import FidelityCheck
from chaoskit.host_lookups import HostLookups
from chaoskit.planning.compile import compile_plan
from chaoskit.records.model import Counters
from chaoskit.spec.load import parse

BURSTS = "{loss: {gemodel: {p: 1%, r: 30%}}}"
LOSSY = "{delay: 30ms, loss: {gemodel: {p: 30%, r: 30%}}}"
HALF = (500, 500)


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


def round_trip(
    tmp_path: Path,
    rtts: list[float],
    netem: str = "{delay: 30ms}",
    resent: Sequence[float] = (),
    counted: tuple[int, int] = (900, 0),
) -> FidelityCheck:
    """The check of the round trip with these handshakes in wifi, clean and `resent`, and 1 ms in the baseline.

    `counted` are the packets that the queue passed and dropped.
    """
    made = Made(plan(netem=netem)).phases().counters("wifi", *counted, 10_000, 20_000)
    made.handshakes(1000, [1] * 20).handshakes(13_000, rtts).handshakes(16_000, resent, 1)
    return checks(tmp_path, made)["round-trip"]


def test_the_requested_round_trip_is_achieved(tmp_path: Path) -> None:
    """30 ms more than the baseline, by the median."""
    found = round_trip(tmp_path, [31.2] * 15)

    assert found.verdict == "achieved"
    assert found.requested == 30
    assert found.measured == pytest.approx(30.2)


def test_a_lost_handshake_packet_is_no_delay(tmp_path: Path) -> None:
    """Of 45 handshakes under heavy loss, 35 whose SYN was sent again are a second longer: the clean ones decide."""
    found = round_trip(tmp_path, [31.2] * 10, LOSSY, [1031 + n for n in range(35)], HALF)

    assert (found.verdict, found.samples) == ("achieved", 10)
    assert found.measured == pytest.approx(30.2)


@pytest.mark.parametrize("rtt", [1.2, 36, 500, 900])
def test_a_wrong_delay_is_found_under_heavy_loss(tmp_path: Path, rtt: float) -> None:
    """The clean handshakes take as long as the path does, not as long as requested."""
    resent = [rtt + 1000] * 35

    assert round_trip(tmp_path, [rtt] * 10, LOSSY, resent, HALF).verdict == "not-achieved"


def test_a_delay_that_leaves_no_clean_handshake_is_found(tmp_path: Path) -> None:
    """All of 40 SYNs were sent again: half of all packets lost does not explain it, a delay of 2 s does."""
    found = round_trip(tmp_path, [], LOSSY, [2001] * 22 + [3001] * 18, HALF)

    assert found.verdict == "not-achieved"
    assert found.measured == pytest.approx(2000)


def test_without_a_clean_handshake_nothing_is_measured(tmp_path: Path) -> None:
    """Seven of ten SYNs were sent again, as loss in bursts explains: that is said, and the run is not undecided."""
    made = Made(plan(["ttft_p95 < 1s"], netem=LOSSY)).phases().counters("wifi", *HALF, 10_000, 20_000)
    made.handshakes(1000, [1] * 20).handshakes(13_000, [31] * 3).handshakes(16_000, [1031] * 7, 1)

    result = analyse(made.many(0, 29_000, 200).write(tmp_path / "run"))
    found = next(each for each in result.fidelity if each.kind == "round-trip")

    assert (found.verdict, found.measured, found.samples) == ("not-measured", None, 0)
    assert found.remark == "too few handshakes: 3, and 7 whose SYN was sent again"
    assert result.outcome.verdict == "met"


@pytest.mark.parametrize(("rtt", "verdict"), [(1501, "achieved"), (1801, "not-achieved"), (16, "not-achieved")])
def test_a_delay_longer_than_the_syn_timer_is_measured(tmp_path: Path, rtt: float, verdict: str) -> None:
    """Every SYN is sent again before its answer can come; the shortest round trips are those without a loss."""
    lossless = round_trip(tmp_path / "a", [], "{delay: 1500ms}", [rtt] * 12)
    lossy = round_trip(tmp_path / "b", [], "{delay: 1500ms, loss: 30%}", [rtt] * 9 + [rtt + 1000] * 4, (700, 300))

    assert (lossless.verdict, lossy.verdict) == (verdict, verdict)


def test_handshakes_of_a_lossy_reference_decide_as_well(tmp_path: Path) -> None:
    """Where the path itself loses packets, only the clean handshakes of the reference count."""
    made = Made(plan(netem="{delay: 30ms}")).phases().counters("wifi", 900, 0, 10_000, 20_000)
    made.handshakes(1000, [5] * 8).handshakes(4000, [1005] * 12, 1).handshakes(13_000, [35] * 10)

    assert checks(tmp_path, made)["round-trip"].measured == pytest.approx(30)


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
    assert round_trip(tmp_path, [31] * 4).verdict == "not-measured"
    made = Made(plan(netem="{delay: 30ms}")).phases(settling=10).handshakes(10_000, [31] * 6)
    assert checks(tmp_path / "b", made)["round-trip"].remark == "too few handshakes: 1"


def test_a_round_trip_of_zero_is_below_a_microsecond_or_unknown(tmp_path: Path) -> None:
    """In virtual time a lab without a delay has none; without timestamps TCP does not tell that of a SYN sent again."""
    made = Made(plan(netem="{delay: 30ms}")).phases().counters("wifi", 900, 0, 10_000, 20_000)
    made.handshakes(1000, [0] * 20).handshakes(13_000, [30] * 10).handshakes(16_000, [0] * 30, 1)

    found = checks(tmp_path, made)["round-trip"]

    assert (found.verdict, found.measured) == ("achieved", 30)


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


CHAIN = """\
name: chain
question: How slow?
stage:
  lab: service
  hosts: {{gateway: {{run: gateway, ready: 8080}}, model: {{reference: true, replicas: 2}}}}
  target: http://gateway:8080/v1/chat/completions
workload: {{request-rate: 10/s, output-tokens: 5}}
faults: {{wifi: {fault}}}
timeline: [{{baseline: 10s}}, {{wifi: 10s}}]
seed: 42
"""


@pytest.mark.parametrize(
    ("fault", "is_aside", "requested"),
    [
        ("{between: [gateway, model], direction: to-gateway, netem: {delay: 80ms}}", True, 80),
        ("{between: [gateway, model], direction: both, netem: {delay: 80ms}}", True, 160),
        ("{host: model, direction: both, netem: {rate: 1mbit}}", True, None),
        ("{between: [client, gateway], direction: both, netem: {delay: 80ms}}", False, 160),
        ("{between: [gateway, model], direction: both, netem: {loss: 1%}}", None, None),
    ],
)
def test_a_delay_between_other_hosts_is_not_measured(
    tmp_path: Path, fault: str, is_aside: bool | None, requested: float | None
) -> None:
    """The client's handshakes do not take that way, so their unchanged round trip says nothing of it."""
    made = Made(compile_plan(parse(CHAIN.format(fault=fault), "chain.yaml"))).phases()
    found = checks(tmp_path, made).get("round-trip")

    assert (found and found.remark == "no handshake with the target takes this way") == is_aside
    assert found is None or (found.verdict, found.requested) == ("not-measured", requested)
