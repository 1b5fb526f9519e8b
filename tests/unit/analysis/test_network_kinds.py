"""What the network did in a stall: what is said to be exact follows from counts and packets, not from patterns."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made_runs import Made, ns

from chaoskit.analysis.attribution.evidence import stream_evidence
from chaoskit.analysis.attribution.gap_evidence import SocketEvidence
from chaoskit.analysis.attribution.sent_again import SentAgain, sent_again
from chaoskit.analysis.attribution.stalls import verdicts
from chaoskit.records.host_records import HostSocket
from chaoskit.records.model import ServedResponse, TcpInfo

Count = tuple[float, float, int, int, int]  # ms, ms, segments sent again, duplicates, changes of the order


def served(*counts: Count, ended: float = 2000) -> ServedResponse:
    """The server's record of stream 0 with these counts."""
    noted = tuple((ns(since), ns(at), *rest) for since, at, *rest in counts)
    return ServedResponse(0, ns(0), ns(0), ns(ended), 9, 9, 0, "sent", sent_again=noted)  # type: ignore[arg-type]


def found(record: ServedResponse, late_segments: int = 0, round_trip: float = 40) -> tuple[str | None, str]:
    """The kind, and how sure it is, of a stall from 21 ms to 720 ms whose token was sent at 20 ms."""
    made = Made()
    made.stream(0, ended=1000)
    for number, (sent, at) in enumerate(((0, 21), (20, 720))):
        made.records.append(made.read(0, number, at, seq=number, due=ns(sent), sent=ns(sent)))
    infos = [
        TcpInfo(0, "connected", ns(-100), {"rtt": round(round_trip * 1000)}),
        TcpInfo(0, "silent", ns(130), {"rmem_alloc": 0, "rcv_ooopack": 0}),
        TcpInfo(0, "resumed", ns(720), {"rcv_ooopack": late_segments}),
    ]
    evidence = stream_evidence({0: 2}, infos, [record], [])
    known = replace(evidence, sockets=SocketEvidence(infos), has_between=False)
    (verdict,) = verdicts(made.streams().gaps, known)
    assert (verdict.cause, verdict.confidence) == ("network", "exact")
    return verdict.kind, verdict.kind_confidence


@pytest.mark.parametrize(
    ("record", "late_segments", "kind"),
    [
        (served((400, 420, 1, 0, 0)), 2, ("loss", "exact")),
        (served((400, 420, 1, 0, 0)), 0, ("loss", "exact")),
        (served((0, 20, 1, 0, 0), (1500, 1520, 2, 0, 0)), 2, ("reorder", "exact")),
        (served((400, 420, 1, 0, 0), (440, 460, 1, 1, 0)), 0, ("delay", "likely")),
        (served((400, 420, 1, 0, 1)), 2, ("reorder", "likely")),
        (served((0, 20, 3, 1, 1), (400, 420, 4, 1, 1)), 0, ("loss", "likely")),
        (served(), 2, ("reorder", "exact")),
        (served(), 0, ("delay", "exact")),
        (served(ended=300), 0, (None, "none")),
        (served(ended=300), 2, ("loss", "likely")),
    ],
)
def test_the_servers_count_decides_what_the_network_did(
    record: ServedResponse, late_segments: int, kind: tuple[str | None, str]
) -> None:
    """Sent again in the stall: lost. Not sent again: overtaken, or late. Where the count ends before: not exact."""
    assert found(record, late_segments) == kind


def test_a_handshake_that_was_sent_again_is_no_round_trip() -> None:
    """Its SYN-ACK was lost: a second until the answer to the second SYN does not make losses of less a reordering."""
    infos = [
        TcpInfo(0, "connected", ns(0), {"rtt": 1_015_000, "min_rtt": 1_015_000, "total_retrans": 1}),
        TcpInfo(0, "start", ns(300), {"rtt": 890_000, "min_rtt": 15_000}),
    ]

    assert SocketEvidence(infos).round_trip(0) == 15_000_000


def test_duplicates_of_former_retransmissions_are_not_subtracted() -> None:
    """One that is reported within a round trip after the stall began is of something that was sent before."""
    counts = sent_again(served((0, 20, 1, 0, 0), (25, 45, 1, 1, 0), (380, 400, 2, 1, 0)))

    assert counts.during(ns(20), ns(410), ns(40) - ns(0)).lost == 1


def test_looks_at_the_servers_socket_go_on_where_its_record_ends() -> None:
    """A look a second later shows one more segment sent again, another one that nothing followed."""
    looks = [
        HostSocket(ns(at), "server", 8000, "client", 1, {"total_retrans": again}) for at, again in ((900, 1), (1900, 1))
    ]
    counts = sent_again(served(ended=500), looks)

    assert counts.during(ns(480), ns(700), 0).again == 1
    assert counts.during(ns(1000), ns(1800), 0).again == 0
    assert counts.during(ns(1950), ns(2100), 0).again is None


def test_no_record_knows_nothing() -> None:
    """Counts that end before the stall does are not known to be zero."""
    assert SentAgain((), until=ns(10)).during(ns(0), ns(20), 0).again is None
