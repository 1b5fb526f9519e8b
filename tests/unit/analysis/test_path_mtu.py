"""Path MTU findings from TCP_INFO: a black hole against loss, a blackout and a slow server."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made_runs import ns
from made_sockets import AT, RTO, Fields, Run, hold, retransmission_at, seen, stuck

from chaoskit.analysis.findings import Direction
from chaoskit.analysis.network.path_mtu import _with_own_cause
from chaoskit.records.model import Event, SocketRead, TcpInfo


def others(run: Run, count: int) -> None:
    """Add streams with short requests that pass, one each 500 ms: eight segments of each arrive."""
    for index in range(count):
        run.ask(AT + 300 + 500 * index, (100, seen(bytes_acked=900, delivered=8)))


@pytest.mark.parametrize(
    ("direction", "file", "small"),
    [
        ("up", "tcp_info.jsonl", "handshakes"),
        ("down", "unacked.jsonl", "handshakes or single tokens"),
    ],
)
def test_a_black_hole_has_a_sentence(direction: Direction, file: str, small: str) -> None:
    """It has its direction, its streams, the MSS, the path MTU and the records."""
    run = Run()
    for index in range(8):
        hold(run, direction, AT + 100 * index, 2, 3, 4)
    run.ask(5000)

    (only,) = run.found()["narrow"]

    assert list(run.found()) == ["narrow"]
    assert (only.kind, only.direction, only.streams, only.of_streams) == ("black-hole", direction, 8, 8)
    assert (only.segment, only.path_mtu, only.retransmissions) == (1448, 1500, 4)
    assert (only.confidence, only.reason) == ("certain", "")
    assert (only.evidence.file, only.evidence.count, only.evidence.worst) == (file, 24, (0, 1, 2, 3, 4))
    assert only.sentence == (
        f"{direction}: black hole for full segments: 8 of 8 streams stuck with 1448-byte segments unacknowledged "
        f"after 4 or more retransmissions (path MTU: 1500), while {small} and shorter ones behind them pass"
    )


def test_full_segments_without_short_ones_are_stuck_as_well() -> None:
    """Five full segments, all of them lost, with nothing short behind them."""
    run = Run()
    for index in range(8):
        hold(run, "up", AT + 100 * index, 4, unacked=5, sacked=0, bytes_sent=1448 * 9 + 1)

    (only,) = run.found()["narrow"]

    assert only.kind == "black-hole"
    assert only.sentence.endswith("while handshakes pass")


def test_all_streams_of_the_phase_count() -> None:
    """Two of those that were sent in the phase are stuck; an earlier one does not count."""
    run = Run()
    hold(run, "up", AT, 4)
    hold(run, "up", AT + 1000, 4)
    others(run, 6)
    run.ask(9000)

    (only,) = run.found()["narrow"]

    assert (only.streams, only.of_streams) == (2, 8)


def test_a_blackout_is_no_black_hole() -> None:
    """Nothing small passes between the first retransmission and the last: what passed before is no proof."""
    run = Run()
    for index in range(8):
        hold(run, "up", AT + 10 * index, 2, 3, 4, sacked=0, lost=6)  # the next handshake comes before the first of them

    assert run.found() == {}


def test_later_handshakes_prove_nothing() -> None:
    """Handshakes after the last retransmission prove nothing either."""
    run = Run()
    hold(run, "up", AT, 4, sacked=0, lost=6)
    run.ask(AT + retransmission_at(4) + 1)

    assert run.found() == {}


@pytest.mark.parametrize(("size", "kinds"), [(270, ["black-hole"]), (1448, [])])
def test_a_single_token_shows_that_small_packets_pass(size: int, kinds: list[str]) -> None:
    """A token of another stream, while these are stuck; a read as long as a segment shows nothing."""
    run = Run()
    for _ in range(3):
        hold(run, "down", AT, 4, 5, sacked=0, lost=6)
    run.reads = [SocketRead(9, 0, ns(AT + 1000), ns(AT + 1000), ns(AT + 1000), size, (Event("content"),))]

    assert [one.kind for one in run.found().get("narrow", [])] == kinds


@pytest.mark.parametrize(("late", "kinds"), [(-1, []), (0, ["black-hole"])])
def test_a_handshake_counts_from_the_first_retransmission_on(late: int, kinds: list[str]) -> None:
    """To the millisecond, computed from the timer's doubling: 200 ms after the first transmission."""
    run = Run()
    for _ in range(3):
        hold(run, "up", AT, 4, 5, sacked=0, lost=6)
    run.ask(AT + RTO + late)

    assert [one.kind for one in run.found().get("narrow", [])] == kinds


def test_loss_that_recovers_is_no_black_hole() -> None:
    """Segments of the same size arrived in the end, within the phase."""
    run = Run()
    for index in range(8):
        run.ask(AT + 100 * index, (retransmission_at(3), stuck(3)), (4000, seen(bytes_acked=8000, delivered=9)))

    assert run.found() == {}


def test_a_recovery_after_the_phase_does_not_count() -> None:
    """Segments that pass once the fault is removed were stuck while it was in force."""
    run = Run()
    for index in range(8):
        run.ask(18_000 + 50 * index, (retransmission_at(3), stuck(3)), (6000, seen(bytes_acked=8000, delivered=9)))

    (only,) = run.found()["narrow"]

    assert (only.kind, only.streams) == ("black-hole", 8)


def test_one_unlucky_stream_among_many_is_loss() -> None:
    """At a loss of a third, one segment of 24 streams' is likely to be lost four times in a row."""
    run = Run()
    for index in range(24):
        run.ask(AT + 100 * index, (50, seen(total_retrans=3, delivered=7)))
    hold(run, "up", AT, 3)

    assert run.found() == {}


def test_losses_in_a_burst_are_no_black_hole() -> None:
    """Losses in a row without anything that passed between them may be one burst; with it they are a black hole."""
    burst, hole = Run(), Run()
    for run in (burst, hole):
        for index in range(12):
            run.ask(AT + 3100 + 50 * index, (50, seen(delivered=8)))
        hold(run, "up", AT, 4, sacked=0, lost=6)
        hold(run, "up", AT + 4000, 4, sacked=0, lost=6)
    for index in range(9):
        hole.ask(AT + 300 + 500 * index, (100, seen(delivered=8)))

    assert burst.found() == {}
    assert [one.kind for one in hole.found()["narrow"]] == ["black-hole"]


@pytest.mark.parametrize(
    "shown",
    [
        pytest.param(seen(last_data_recv=4000), id="thinks"),
        pytest.param(stuck(5, bytes_sent=1448 * 5 + 300, sacked=0, unacked=1, lost=1), id="a short segment"),
        pytest.param(stuck(1), id="one timeout"),
        pytest.param(stuck(5, unacked=9), id="more under way than lost"),
        pytest.param(stuck(5, unacked=6, lost=1, sacked=5, bytes_sent=8688 + 5 * 1448), id="full ones passed behind"),
    ],
)
def test_other_senders_are_not_stuck(shown: Fields) -> None:
    """A server that thinks, short segments, a single timeout, segments in flight: no black hole."""
    run = Run()
    for index in range(8):
        run.ask(AT + 200 * index, (6200, shown), completion="first_token_timeout")
        run.serve(index, AT)

    assert run.found() == {}


def test_lost_acknowledgements_are_of_the_other_direction() -> None:
    """The client received more than was acknowledged: there is no loss downstream."""
    run = Run()
    for index in range(8):
        hold(run, "down", AT + 100 * index, 3, 4)
        run.infos.append(TcpInfo(index, "stuck", ns(AT + 1000), seen(bytes_received=1449)))

    assert run.found() == {}


def test_other_streams_that_pass_lower_the_confidence() -> None:
    """Where full segments of some streams arrive, it is one path of several, or a queue that counts bytes."""
    run = Run()
    for index in range(8):
        hold(run, "up", AT + 100 * index, 5)
    for index in range(5):
        run.ask(AT + 100 * index, (200, seen(bytes_acked=8000, delivered=7)))

    (only,) = run.found()["narrow"]

    assert (only.streams, only.of_streams, only.confidence) == (8, 13, "likely")
    assert only.reason.startswith("segments of that size passed on 5 other streams")


def test_the_receiver_shows_which_segments_passed() -> None:
    """Where the client's socket does not show it, the server's shows that full segments arrived."""
    run = Run()
    for index in range(8):
        hold(run, "up", AT + 100 * index, 5)
    run.serve(run.ask(AT), AT, first=seen(bytes_acked=0, rcv_mss=1448))

    (only,) = run.found()["narrow"]

    assert only.reason.startswith("segments of that size passed on 1 other stream")


def test_handshakes_that_failed_are_losses() -> None:
    """A few losses of one stream prove nothing where ten connections failed."""
    run = Run()
    hold(run, "up", AT, 2)
    run.ask(AT + 400)
    failed = [
        replace(run.requests[1], stream=number, completion="connect_failed", sent=None) for number in range(2, 12)
    ]
    run.requests += [replace(one, connection=None) for one in failed]

    assert run.found() == {}


def test_a_single_stream_may_not_be_enough() -> None:
    """Its losses have the probability of random loss as their reason, and prove nothing where little else is known."""
    few, more = Run(), Run()
    for run, count in ((few, 1), (more, 8)):
        hold(run, "up", AT, 3)
        others(run, count)

    (only,) = more.found()["narrow"]

    assert few.found() == {}
    assert only.confidence == "likely"  # 67 segments arrived, none was lost, four were lost in a row: 67 (3/70)^4
    assert only.reason == "random loss explains it with a probability of up to 0.023 %"
    assert only.sentence.startswith("up: black hole for full segments, likely: 1 of 9 streams stuck")


def test_all_streams_of_a_shared_connection_count() -> None:
    """Streams that were open while it was stuck count; one that ended before does not."""
    run = Run()
    run.ask(AT, (100, seen()))
    for index in range(3):
        hold(run, "up", AT + 200 + index, 4, 5, 6)
    run.requests = [replace(request, connection=99) for request in run.requests]
    others(run, 8)

    (only,) = run.found()["narrow"]

    assert (only.streams, only.of_streams) == (3, 12)


def test_mtu_probing_reduces_only_the_mss() -> None:
    """The MSS became smaller and the path MTU did not change: MTU probing found a size that passes."""
    run = Run()
    for index in range(4):
        run.ask(
            AT + 100 * index,
            (retransmission_at(3), stuck(3)),
            (4000, seen(snd_mss=1024, bytes_acked=8000, total_retrans=14)),
        )
    others(run, 8)

    (only,) = run.found()["narrow"]

    assert (only.kind, only.streams, only.segment, only.path_mtu, only.retransmissions) == ("probed", 4, 1024, 1500, 3)
    assert only.confidence == "certain"
    assert only.sentence == (
        "up: black hole escaped by MTU probing: 4 of 12 streams went from 1448- to 1024-byte segments "
        "(path MTU unchanged: 1500)"
    )


def test_probing_after_random_loss_is_no_black_hole() -> None:
    """A socket probes after a few losses in a row, whatever lost them: where much is lost that is said."""
    run = Run()
    for index in range(24):
        run.ask(AT + 100 * index, (50, seen(total_retrans=3, delivered=7)))
    run.ask(AT, (retransmission_at(3), stuck(3)), (4000, seen(snd_mss=1024, bytes_acked=8000, total_retrans=4)))

    (only,) = run.found()["narrow"]

    assert (only.kind, only.confidence) == ("probed", "none")
    assert only.sentence.startswith("up: MTU probing after losses, as random loss explains too: 1 of 25 streams went")
    assert only.reason == "random loss explains it with a probability of up to 100 %"


def test_probing_belongs_to_the_phase_it_began_in() -> None:
    """Stuck in the phase, recovered after it: it is attributed to the fault."""
    run = Run()
    run.ask(19_000, (retransmission_at(3), stuck(3)), (3000, seen(snd_mss=1024, bytes_acked=8000)))

    assert [(name, one.kind) for name, those in run.found().items() for one in those] == [("narrow", "probed")]


def test_a_reduced_mss_is_not_a_recovery() -> None:
    """Streams still stuck beside it are in the same black hole, with certainty."""
    run = Run()
    for index in range(4):
        run.ask(
            AT + 100 * index,
            (retransmission_at(4), stuck(4)),
            (4000, seen(snd_mss=1024, bytes_acked=8000, total_retrans=14)),
        )
    hold(run, "up", AT + 500, 4)
    hold(run, "up", AT + 600, 4)
    others(run, 9)

    assert [(one.kind, one.streams, one.confidence) for one in run.found()["narrow"]] == [
        ("black-hole", 2, "certain"),
        ("probed", 4, "certain"),
    ]


def test_an_icmp_error_reduces_the_path_mtu() -> None:
    """The socket's path MTU is below its handshake's; so is that of later ones, until the kernel's entry expires."""
    run = Run()
    run.ask(AT, (100, seen(snd_mss=1248, pmtu=1300)))
    run.ask(AT + 1000, first=seen(snd_mss=1248, pmtu=1300))

    (only,) = run.found()["narrow"]

    assert (only.kind, only.streams, only.of_streams, only.segment, only.path_mtu) == ("signalled", 2, 2, 1248, 1300)
    assert only.sentence == (
        "up: smaller path MTU, signalled: 2 of 2 streams sent 1248-byte segments instead of 1448, "
        "as a router reported an MTU of 1300"
    )


def test_an_expired_path_mtu_still_counts() -> None:
    """A replaced route drops the learned path MTU: the last sample does not show it, the first does."""
    run = Run()
    run.ask(AT, (100, seen()), first=seen(snd_mss=1248, pmtu=1300))

    (only,) = run.found()["narrow"]

    assert (only.kind, only.segment, only.path_mtu) == ("signalled", 1248, 1300)


@pytest.mark.parametrize(("segment", "confidence"), [(1228, "certain"), (1024, "likely")])
def test_a_clamp_shows_from_the_handshake_on(segment: int, confidence: str) -> None:
    """The first sample shows it; a socket that always probes starts with 1024 bytes as well."""
    run = Run()
    run.serve(run.ask(AT), AT, first=seen(snd_mss=segment))

    (only,) = run.found()["narrow"]

    assert (only.kind, only.direction, only.segment, only.confidence) == ("clamped", "down", segment, confidence)
    assert only.sentence == (
        f"down: clamp: 1 of 1 stream sent {segment}-byte segments instead of 1448 from the handshake on, "
        "as the other side or a middlebox set the MSS (path MTU: 1500)"
    )


def test_a_clamp_belongs_to_the_phase_of_the_handshake() -> None:
    """A connection that continues into the next phase is no finding there."""
    run = Run()
    run.ask(9000, (3000, seen(snd_mss=1228)), first=seen(snd_mss=1228))

    assert list(run.found()) == ["baseline"]


def test_loopback_is_not_clamped() -> None:
    """Its segments are limited to half the window."""
    run = Run()
    run.ask(AT, first=seen(snd_mss=32741, advmss=65483, pmtu=65535))

    assert run.found() == {}


def test_a_clamp_that_the_phase_asked_for_is_named_as_its_cause() -> None:
    """Not as somebody else's; a clamp of another size stays unexplained."""
    run = Run()
    run.serve(run.ask(AT), AT, first=seen(snd_mss=1228))
    (only,) = run.found()["narrow"]

    assert _with_own_cause(only, {"the mss-clamp that is in force": 1240}).sentence.endswith(
        "from the handshake on, by the mss-clamp that is in force (path MTU: 1500)"
    )
    assert _with_own_cause(only, {"the mss-clamp that is in force": 1360}) == only


def test_streams_of_the_last_phase_may_die_in_the_drain() -> None:
    """Its faults stay until the end: those that are first seen stuck in the drain count as well."""
    run = Run(names=("baseline", "narrow"))
    for index in range(4):
        hold(run, "up", AT + 100 * index, 3, 4)
    for index in range(4):
        hold(run, "up", 19_500 + 100 * index, 3, 4)
    run.ask(12_000)

    (only,) = run.found()["narrow"]

    assert (only.kind, only.streams, only.of_streams) == ("black-hole", 8, 9)


def test_what_passed_before_the_fault_was_set_did_not_pass() -> None:
    """Between a phase's begin and its `ready` the path is still the old one."""
    early, late = (Run(settling=1500) for _ in range(2))
    for run, at in ((early, 10_100), (late, 11_600)):
        for index in range(8):
            hold(run, "up", 12_000 + 100 * index, 2, 3, 4)
        run.ask(at, (300, seen(bytes_acked=900)), (1000, seen(bytes_acked=20_000, delivered=20)))

    assert [one.confidence for one in early.found()["narrow"]] == ["certain"]
    assert [one.confidence for one in late.found()["narrow"]] == ["likely"]
