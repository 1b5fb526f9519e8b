"""What the client alone can tell of the way down: little for sure, and it says so."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made_runs import plan
from made_sockets import AT, Fields, Run, seen

from chaoskit.analysis.result import PathMtu


def foreign(*looks: Fields) -> list[PathMtu]:
    """Five streams of somebody else's server that fell silent so, seen from the client alone."""
    run = Run()
    for index in range(5):
        run.ask(AT + 500 * index, *((5000, look) for look in looks), completion="idle_timeout")
    return run.found().get("narrow", [])


def test_of_somebody_elses_server_silence_says_little() -> None:
    """All was asked, and nothing comes: what the cause is cannot be told, and that is said."""
    (only,) = foreign(seen(last_data_recv=5000, bytes_received=300))

    assert (only.kind, only.direction, only.confidence, only.streams, only.of_streams) == (
        "silence",
        "down",
        "none",
        5,
        5,
    )
    assert only.sentence == (
        "down: no more data arrived on 5 of 5 streams, while handshakes pass: "
        "full segments were lost or the server sent nothing, the client cannot tell which"
    )
    assert "the server's own TCP_INFO" in only.reason


def test_silence_without_any_sign_of_the_path_is_not_named() -> None:
    """No handshake passed while it lasted: the path may have been down, and nothing is said of segments."""
    run = Run()
    run.ask(AT, (5000, seen(last_data_recv=5000)), completion="idle_timeout")

    assert run.found() == {}


@pytest.mark.parametrize(("holes", "kind"), [(2, "silence"), (3, "black-hole")])
def test_most_must_wait_behind_a_hole(holes: int, kind: str) -> None:
    """Two of five may be anything, three are a sign."""
    run = Run()
    hole = seen(last_data_recv=5000, rcv_ooopack=1, rcv_mss=1010, rto=220_000, data_segs_in=9)
    for index in range(5):
        shown = hole if index < holes else seen(last_data_recv=5000, data_segs_in=9)
        run.ask(AT + 500 * index, (5000, shown), completion="idle_timeout")

    (only,) = run.found()["narrow"]

    assert only.kind == kind


@pytest.mark.parametrize("has_served", [True, False])
def test_of_our_own_server_silence_is_no_riddle(has_served: bool) -> None:
    """Its sockets are looked at, also where no question ever reached it; what they do not show was not there."""
    run = Run(plan=None if has_served else plan())
    for index in range(5):
        run.ask(AT + 500 * index, (5000, seen(last_data_recv=5000)), completion="idle_timeout")
    if has_served:
        run.serve(0, AT)

    assert run.found() == {}


def test_segments_behind_a_hole_make_it_likely() -> None:
    """What came later waits for one that never came, and none that came was full."""
    (only,) = foreign(seen(last_data_recv=5000, rcv_ooopack=1, rcv_mss=1010, rto=220_000, data_segs_in=9))

    assert (only.kind, only.direction, only.confidence) == ("black-hole", "down", "likely")
    assert "1010 bytes" in only.reason


@pytest.mark.parametrize("lost", [{"total_retrans": 8}, {"rcv_mss": 1448}])
def test_where_much_is_lost_or_full_ones_came_holes_prove_nothing(lost: Fields) -> None:
    """Half of our own segments were lost as well, or what came before was full: no more than silence."""
    shown = seen(last_data_recv=5000, rcv_ooopack=1, rcv_mss=1010, rto=220_000, data_segs_in=9, delivered=8)

    (only,) = foreign({**shown, **lost})

    assert only.kind == "silence"


@pytest.mark.parametrize(
    "shown",
    [
        seen(last_data_recv=10),
        seen(last_data_recv=5000, unacked=2),
    ],
)
def test_a_foreign_server_that_speaks_or_was_not_asked(shown: Fields) -> None:
    """Something came a moment ago, or the question is not through: nothing is said about the way down."""
    assert foreign(shown) == []


@pytest.mark.parametrize(("ooo", "kinds"), [(1, ["black-hole"]), (0, [])])
def test_certificates_fill_segments_first(ooo: int, kinds: list[str]) -> None:
    """TCP's handshakes pass and TLS's do not: likely for their length if their end is there, else for any reason."""
    run = Run()
    shown = seen(last_data_recv=4000, rcv_ooopack=ooo, rcv_mss=908, rto=200_000, data_segs_in=1, bytes_acked=518)
    for index in range(4):
        run.ask(AT + 500 * index, (4000, shown), completion="connect_failed")
    run.requests = [replace(request, sent=None) for request in run.requests]
    run.serve(run.ask(AT), AT)

    found = run.found().get("narrow", [])

    assert [one.kind for one in found] == kinds
    assert all(
        (one.direction, one.streams, one.of_streams, one.confidence) == ("down", 4, 5, "likely") for one in found
    )


def test_our_own_small_offer_limits_a_foreign_server() -> None:
    """What this side asks for in its handshake is the longest that can come."""
    run = Run()
    run.ask(AT, first=seen(advmss=1228, snd_mss=1228))

    (only,) = run.found()["narrow"]

    assert (only.kind, only.direction, only.segment, only.confidence) == ("clamped", "down", 1228, "certain")
