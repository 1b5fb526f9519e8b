"""Path MTU findings from the client's side alone: few are certain."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made_runs import plan
from made_sockets import AT, Fields, Run, seen

from chaoskit.analysis.findings import PathMtu


def findings(*looks: Fields) -> list[PathMtu]:
    """The findings of five streams whose server sends nothing more, from the client's sockets alone."""
    run = Run()
    for index in range(5):
        run.ask(AT + 500 * index, *((5000, look) for look in looks), completion="idle_timeout")
    return run.found().get("narrow", [])


def test_silence_has_no_certain_cause() -> None:
    """The request was acknowledged and nothing arrives: the finding says that the cause is unknown."""
    (only,) = findings(seen(last_data_recv=5000, bytes_received=300))

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


def test_silence_on_loopback_is_no_finding() -> None:
    """Its MSS is that of no other link, and there is no path between the two ends."""
    assert findings(seen(last_data_recv=5000, bytes_received=300, advmss=65483, snd_mss=65483, pmtu=65535)) == []


def test_silence_without_handshakes_is_not_a_finding() -> None:
    """No handshake passed at the same time: the path may have been down."""
    run = Run()
    run.ask(AT, (5000, seen(last_data_recv=5000)), completion="idle_timeout")

    assert run.found() == {}


@pytest.mark.parametrize(("holes", "kind"), [(2, "silence"), (3, "black-hole")])
def test_most_streams_must_wait_behind_a_hole(holes: int, kind: str) -> None:
    """Two of five are not enough, three are."""
    run = Run()
    hole = seen(last_data_recv=5000, rcv_ooopack=1, rcv_mss=1010, rto=220_000, data_segs_in=9)
    for index in range(5):
        shown = hole if index < holes else seen(last_data_recv=5000, data_segs_in=9)
        run.ask(AT + 500 * index, (5000, shown), completion="idle_timeout")

    (only,) = run.found()["narrow"]

    assert only.kind == kind


@pytest.mark.parametrize("has_served", [True, False])
def test_silence_of_the_reference_server_is_not_a_finding(has_served: bool) -> None:
    """Its sockets are sampled, also where no request reached it."""
    run = Run(plan=None if has_served else plan())
    for index in range(5):
        run.ask(AT + 500 * index, (5000, seen(last_data_recv=5000)), completion="idle_timeout")
    if has_served:
        run.serve(0, AT)

    assert run.found() == {}


def test_segments_behind_a_hole_make_it_likely() -> None:
    """Later segments wait for one that did not arrive, none that arrived was full, and chance does not explain it."""
    (only,) = findings(seen(last_data_recv=5000, rcv_ooopack=1, rcv_mss=1010, rto=220_000, data_segs_in=9))

    assert (only.kind, only.direction, only.confidence) == ("black-hole", "down", "likely")
    assert only.sentence.startswith(
        "down: black hole for full segments, likely: no more data arrived on 5 of 5 streams"
    )
    assert "1010 bytes" in only.reason
    assert only.reason.endswith("random loss explains it with a probability below 1 in a million")


def test_holes_prove_nothing_where_full_segments_arrived() -> None:
    """A full one arrived before: no more than silence."""
    (only,) = findings(seen(last_data_recv=5000, rcv_ooopack=1, rcv_mss=1448, rto=220_000, data_segs_in=9))

    assert only.kind == "silence"
    assert "the client cannot tell which" in only.sentence


LOSSES: dict[str, list[tuple[Fields, Fields]]] = {
    "handshakes": [(seen(total_retrans=2), seen(total_retrans=2, data_segs_in=9))] * 10,
    "out of order": [(seen(), seen(data_segs_in=50, rcv_ooopack=20))] * 10,
}


@pytest.mark.parametrize("name", LOSSES)
def test_holes_prove_nothing_where_small_packets_are_lost_too(name: str) -> None:
    """SYNs were sent again, or other answers had holes that were filled: chance explains a hole, and that is said."""
    run = Run()
    hole = seen(last_data_recv=5000, rcv_ooopack=1, rcv_mss=1010, rto=220_000, data_segs_in=9)
    for index in range(3):
        run.ask(AT + 500 * index, (5000, hole), completion="idle_timeout")
    for index, (first, last) in enumerate(LOSSES[name]):
        run.ask(AT + 200 + 300 * index, (100, last), first=first)

    (only,) = run.found()["narrow"]

    assert (only.kind, only.confidence) == ("silence", "none")
    assert only.sentence.endswith("later segments wait behind one that was lost, by its size or by chance")
    assert only.reason.startswith("random loss explains it with a probability of up to 100 %")


def test_connections_that_failed_are_losses() -> None:
    """Where half of all TCP handshakes failed, holes in the others' answers prove nothing."""
    run = Run()
    hole = seen(last_data_recv=5000, rcv_ooopack=1, rcv_mss=1010, rto=220_000, data_segs_in=2)
    for index in range(5):
        run.ask(AT + 500 * index, (5000, hole), completion="idle_timeout")
    for index in range(5):
        run.ask(AT + 100 * index, completion="connect_failed")
    run.infos = [info for info in run.infos if info.stream < 5]
    run.requests = [replace(request, sent=None if request.stream >= 5 else request.sent) for request in run.requests]

    (only,) = run.found()["narrow"]

    assert only.kind == "silence"


def test_silence_is_charged_to_the_fault_it_met() -> None:
    """Requests that were sent just before the fault, and whose answers it took, are no finding of the baseline."""
    run = Run()
    hole = seen(last_data_recv=5000, rcv_ooopack=1, rcv_mss=1010, rto=220_000, data_segs_in=9)
    for index in range(5):
        run.ask(9500 + 50 * index, (6000, hole), completion="idle_timeout")
    for index in range(9):
        run.ask(AT + 500 * index, (100, seen(data_segs_in=9)))

    assert {name: [one.kind for one in those] for name, those in run.found().items()} == {"narrow": ["black-hole"]}


@pytest.mark.parametrize(
    "shown",
    [
        seen(last_data_recv=10),
        seen(last_data_recv=5000, unacked=2),
    ],
)
def test_a_server_that_answers_or_has_no_request_is_not_silent(shown: Fields) -> None:
    """Data arrived a moment ago, or the request is not acknowledged: no finding downstream."""
    assert findings(shown) == []


@pytest.mark.parametrize(("ooo", "kinds"), [(1, ["black-hole"]), (0, [])])
def test_certificates_fill_segments_first(ooo: int, kinds: list[str]) -> None:
    """TCP handshakes pass and TLS handshakes do not: likely a black hole if the end of the certificates arrived."""
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


def test_a_small_advertised_mss_limits_any_server() -> None:
    """The MSS that the client advertises is the largest segment that can arrive."""
    run = Run()
    run.ask(AT, first=seen(advmss=1228, snd_mss=1228))

    (only,) = run.found()["narrow"]

    assert (only.kind, only.direction, only.segment, only.confidence) == ("clamped", "down", 1228, "certain")
