"""What the sockets tell of full segments: a black hole is told from loss, from a blackout and from a slow server."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made_runs import ns
from made_sockets import AT, RTO, Fields, Run, hold, retransmission_at, seen, stuck

from chaoskit.analysis.result import Direction
from chaoskit.records.model import Event, SocketRead, TcpInfo


@pytest.mark.parametrize(
    ("direction", "file", "small"),
    [
        ("up", "tcp_info.jsonl", "handshakes"),
        ("down", "unacked.jsonl", "handshakes or single tokens"),
    ],
)
def test_a_black_hole_has_a_sentence(direction: Direction, file: str, small: str) -> None:
    """Its direction, how many streams of how many, the segments, the path MTU and the records are named."""
    run = Run()
    for index in range(8):
        hold(run, direction, AT + 100 * index, 2, 3, 4)
    run.ask(5000)

    (only,) = run.found()["narrow"]

    assert list(run.found()) == ["narrow"]
    assert (only.kind, only.direction, only.streams, only.of) == ("black-hole", direction, 8, 8)
    assert (only.segment, only.path_mtu, only.retransmissions) == (1448, 1500, 4)
    assert (only.confidence, only.reason) == ("sure", "")
    assert (only.evidence.file, only.evidence.count, only.evidence.worst) == (file, 24, (0, 1, 2, 3, 4))
    assert only.sentence == (
        f"{direction}: black hole for full segments: 8 of 8 streams stuck with 1448-byte segments unacknowledged after "
        f"4 or more retransmissions (path MTU known: 1500), while {small} and shorter ones behind them pass"
    )


def test_full_segments_alone_are_held_as_well() -> None:
    """Nothing short behind them: five segments, each of them full, and all of them lost."""
    run = Run()
    for index in range(8):
        hold(run, "up", AT + 100 * index, 4, unacked=5, sacked=0, bytes_sent=1448 * 9 + 1)

    (only,) = run.found()["narrow"]

    assert only.kind == "black-hole"
    assert only.sentence.endswith("while handshakes pass")


def test_streams_that_got_through_count_in_the_whole() -> None:
    """Two of the three that were asked in the phase are stuck; what was asked before it is none of them."""
    run = Run()
    hold(run, "up", AT, 4)
    hold(run, "up", AT + 1000, 4)
    run.ask(AT + 2000)
    run.ask(9000)

    (only,) = run.found()["narrow"]

    assert (only.streams, only.of) == (2, 3)


def test_a_blackout_is_no_black_hole() -> None:
    """Nothing small passes between the first vain retransmission and the last: what passed before is no proof."""
    run = Run()
    for index in range(8):
        hold(run, "up", AT + 10 * index, 2, 3, 4, sacked=0, lost=6)  # the next handshake comes before the first of them

    assert run.found() == {}


def test_a_blackout_between_two_phases_of_quiet_is_none() -> None:
    """Handshakes after the last vain retransmission prove nothing either."""
    run = Run()
    hold(run, "up", AT, 4, sacked=0, lost=6)
    run.ask(AT + retransmission_at(4) + 1)

    assert run.found() == {}


@pytest.mark.parametrize(("size", "kinds"), [(270, ["black-hole"]), (1448, [])])
def test_a_token_that_arrives_alone_shows_that_small_ones_pass(size: int, kinds: list[str]) -> None:
    """Of another stream, while these are stuck; a read as long as a segment shows nothing of the kind."""
    run = Run()
    for _ in range(3):
        hold(run, "down", AT, 4, 5, sacked=0, lost=6)
    run.reads = [SocketRead(9, 0, ns(AT + 1000), ns(AT + 1000), size, (Event("content"),))]

    assert [one.kind for one in run.found().get("narrow", [])] == kinds


@pytest.mark.parametrize(("late", "kinds"), [(-1, []), (0, ["black-hole"])])
def test_a_handshake_counts_from_the_first_vain_retransmission_on(late: int, kinds: list[str]) -> None:
    """To the millisecond, as the timer's doubling tells when that was: 200 ms after the first sending."""
    run = Run()
    for _ in range(3):
        hold(run, "up", AT, 4, 5, sacked=0, lost=6)
    run.ask(AT + RTO + late)

    assert [one.kind for one in run.found().get("narrow", [])] == kinds


def test_loss_that_ends_well_is_no_black_hole() -> None:
    """Segments of the same size got through in the end, within the phase."""
    run = Run()
    for index in range(8):
        run.ask(AT + 100 * index, (retransmission_at(3), stuck(3)), (4000, seen(bytes_acked=8000, delivered=9)))

    assert run.found() == {}


def test_what_gets_through_when_the_phase_is_over_was_held_in_it() -> None:
    """That the fault was taken away is no sign that it was none."""
    run = Run()
    for index in range(8):
        run.ask(18_000 + 50 * index, (retransmission_at(3), stuck(3)), (6000, seen(bytes_acked=8000, delivered=9)))

    (only,) = run.found()["narrow"]

    assert (only.kind, only.streams) == ("black-hole", 8)


def test_one_unlucky_stream_among_many_is_loss() -> None:
    """At a share of a third, one segment of 24 streams' is lost four times in a row as a matter of course."""
    run = Run()
    for index in range(24):
        run.ask(AT + 100 * index, (50, seen(total_retrans=3, delivered=7)))
    hold(run, "up", AT, 3)

    assert run.found() == {}


def test_losses_in_bursts_are_no_black_hole() -> None:
    """Where a death is mostly followed by another, even where it ends well, a few more in a row prove nothing."""
    run = Run()
    for index in range(30):
        run.ask(AT + 50 * index, (50, seen(delivered=7)))
        if index < 6:
            run.ask(
                AT + index,
                (retransmission_at(4), stuck(4)),
                (retransmission_at(4) + 50, seen(bytes_acked=8000, delivered=9)),
            )
    hold(run, "up", AT, 4)
    hold(run, "up", AT, 4)

    assert run.found() == {}


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
def test_what_else_looks_stuck(shown: Fields) -> None:
    """A server that thinks, short segments, a single timeout, segments under way: no black hole."""
    run = Run()
    for index in range(8):
        run.ask(AT + 200 * index, (6200, shown), completion="first_token_timeout")
        run.serve(index, AT)

    assert run.found() == {}


def test_what_arrived_unacknowledged_died_on_the_way_back() -> None:
    """The client has had more than the server knows of: nothing is wrong on the way down."""
    run = Run()
    for index in range(8):
        hold(run, "down", AT + 100 * index, 3, 4)
        run.infos.append(TcpInfo(index, "stuck", ns(AT + 1000), seen(bytes_received=1449)))

    assert run.found() == {}


def test_others_that_pass_make_it_less_sure() -> None:
    """Where some streams' full segments arrive, it is one path of several, or a queue that counts bytes."""
    run = Run()
    for index in range(8):
        hold(run, "up", AT + 100 * index, 5)
    for index in range(5):
        run.ask(AT + 100 * index, (200, seen(bytes_acked=8000, delivered=7)))

    (only,) = run.found()["narrow"]

    assert (only.streams, only.of, only.confidence) == (8, 13, "likely")
    assert only.reason.startswith("5 other streams got segments of that size through")


def test_the_receiver_knows_what_passed() -> None:
    """Where the client's own socket says too little, the server's tells that full segments arrived."""
    run = Run()
    for index in range(8):
        hold(run, "up", AT + 100 * index, 5)
    run.serve(run.ask(AT), AT, first=seen(bytes_acked=0, rcv_mss=1448))

    (only,) = run.found()["narrow"]

    assert only.reason.startswith("1 other streams got segments of that size through")


def test_handshakes_that_failed_are_losses() -> None:
    """Few deaths of one stream prove nothing where ten connections could not even be made."""
    run = Run()
    hold(run, "up", AT, 2)
    run.ask(AT + 400)
    failed = [
        replace(run.requests[1], stream=number, completion="connect_failed", sent=None) for number in range(2, 12)
    ]
    run.requests += [replace(one, connection=None) for one in failed]

    assert run.found() == {}


def test_a_single_stream_may_not_be_enough() -> None:
    """Few deaths of one stream are named with the chance that mere loss has to do the same."""
    run = Run()
    hold(run, "up", AT, 2)
    run.ask(AT + 400)

    (only,) = run.found()["narrow"]

    assert only.confidence == "likely"  # 4 segments arrived, none else was lost: 4 x 0.1^3
    assert only.reason == "mere loss would do the same with a chance of up to 0.4 %"


def test_a_shared_connection_holds_all_of_its_streams() -> None:
    """Streams that were open on it while it was stuck are counted; one that had ended before is not."""
    run = Run()
    run.ask(AT, (100, seen()))
    for index in range(3):
        hold(run, "up", AT + 200 + index, 4, 5, 6)
    run.requests = [replace(request, connection=7) for request in run.requests]

    (only,) = run.found()["narrow"]

    assert (only.streams, only.of) == (3, 4)


def test_probing_is_seen_in_the_segments_alone() -> None:
    """They became smaller and the path MTU stayed: MTU probing found a size that passes."""
    run = Run()
    for index in range(4):
        run.ask(
            AT + 100 * index,
            (retransmission_at(3), stuck(3)),
            (4000, seen(snd_mss=1024, bytes_acked=8000, total_retrans=14)),
        )

    (only,) = run.found()["narrow"]

    assert (only.kind, only.streams, only.segment, only.path_mtu, only.retransmissions) == ("probed", 4, 1024, 1500, 3)
    assert only.sentence == (
        "up: black hole left by MTU probing: 4 of 4 streams went from 1448- to 1024-byte segments "
        "(path MTU known: 1500, as before)"
    )


def test_probing_that_ends_later_is_the_phases_that_it_began_in() -> None:
    """Stuck in the phase, out when it is over: as with every damage, the fault pays."""
    run = Run()
    run.ask(19_000, (retransmission_at(3), stuck(3)), (3000, seen(snd_mss=1024, bytes_acked=8000)))

    assert [(name, one.kind) for name, those in run.found().items() for one in those] == [("narrow", "probed")]


def test_what_probing_got_out_has_not_survived_a_loss() -> None:
    """Those that are still held beside it are in the same black hole, and for sure."""
    run = Run()
    for index in range(4):
        run.ask(
            AT + 100 * index,
            (retransmission_at(4), stuck(4)),
            (4000, seen(snd_mss=1024, bytes_acked=8000, total_retrans=14)),
        )
    hold(run, "up", AT + 500, 3)
    hold(run, "up", AT + 600, 3)

    assert [(one.kind, one.streams, one.confidence) for one in run.found()["narrow"]] == [
        ("black-hole", 2, "sure"),
        ("probed", 4, "sure"),
    ]


def test_a_signal_is_seen_in_the_path_mtu() -> None:
    """The socket believes less than its handshake offered; so does every later one, until the kernel forgets."""
    run = Run()
    run.ask(AT, (100, seen(snd_mss=1248, pmtu=1300)))
    run.ask(AT + 1000, first=seen(snd_mss=1248, pmtu=1300))

    (only,) = run.found()["narrow"]

    assert (only.kind, only.streams, only.of, only.segment, only.path_mtu) == ("signalled", 2, 2, 1248, 1300)
    assert only.sentence == (
        "up: smaller path, signalled: 2 of 2 streams send 1248-byte segments instead of 1448, "
        "as a router said that the path's MTU is 1300"
    )


def test_a_signal_that_is_forgotten_meanwhile_was_one() -> None:
    """A route that is replaced takes the learned path MTU with it: the last look is none, the first was."""
    run = Run()
    run.ask(AT, (100, seen()), first=seen(snd_mss=1248, pmtu=1300))

    (only,) = run.found()["narrow"]

    assert (only.kind, only.segment, only.path_mtu) == ("signalled", 1248, 1300)


@pytest.mark.parametrize(("segment", "confidence"), [(1228, "sure"), (1024, "likely")])
def test_a_clamp_is_there_from_the_handshake_on(segment: int, confidence: str) -> None:
    """The first look shows it; 1024 bytes are also what a socket begins with that always probes."""
    run = Run()
    run.serve(run.ask(AT), AT, first=seen(snd_mss=segment))

    (only,) = run.found()["narrow"]

    assert (only.kind, only.direction, only.segment, only.confidence) == ("clamped", "down", segment, confidence)
    assert only.sentence == (
        f"down: clamp: 1 of 1 streams send {segment}-byte segments instead of 1448 from the handshake on, "
        "as the other side or something on the way wants it (path MTU known: 1500)"
    )


def test_a_clamp_is_the_phases_in_which_the_handshake_was() -> None:
    """A connection that lives on into the next phase says nothing new there."""
    run = Run()
    run.ask(9000, (3000, seen(snd_mss=1228)), first=seen(snd_mss=1228))

    assert list(run.found()) == ["baseline"]


def test_loopback_is_not_clamped() -> None:
    """Its segments are cut to half the window."""
    run = Run()
    run.ask(AT, first=seen(snd_mss=32741, advmss=65483, pmtu=65535))

    assert run.found() == {}
