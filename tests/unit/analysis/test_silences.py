"""Whose a stall is where the server stamps nothing: by the client's own socket, and by what came after."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from made_runs import Made, ns

from chaoskit.analysis.attribution.evidence import StreamEvidence
from chaoskit.analysis.attribution.gap_evidence import SocketEvidence
from chaoskit.analysis.attribution.stalls import verdicts
from chaoskit.analysis.attribution.verdict import Verdict
from chaoskit.records.model import Event, SocketRead, TcpInfo

PACE, BEGIN, END = 20, 980, 1600  # ms: thirty tokens are due in the silence
STEADY = tuple(range(0, BEGIN + 1, PACE))
ROUND_TRIP = 80


def judged(
    after: Sequence[tuple[float, int]],
    infos: Sequence[TcpInfo] = (),
    pings: Sequence[float] = (),
    looked: float = END - 5,
) -> Verdict:
    """The verdict on a silence after which so many tokens came at these times; with samples, and pings."""
    made = Made()
    last = after[-1][0] if after else END
    made.stream(0, [], "complete" if after else "idle_timeout", ended=last)
    reads: list[tuple[float, SocketRead]] = [(at, made.read(0, number, at)) for number, at in enumerate(STEADY)]
    reads += [(at, SocketRead(0, 900 + n, ns(at), ns(at), ns(at), 9, (Event("ping"),))) for n, at in enumerate(pings)]
    for number, (at, count) in enumerate(after, 100):
        seen = looked if number == 100 else at - 1
        reads.append((at, SocketRead(0, number, ns(at), ns(at), ns(seen), 200 * count, (Event("content"),) * count)))
    made.records += [read for _, read in sorted(reads, key=lambda each: each[0])]
    connected = TcpInfo(0, "connected", ns(-100), {"rtt": ROUND_TRIP * 1000})
    streams = made.streams()
    sockets = SocketEvidence((connected, *infos), streams.arrivals.signs, ns(0))
    (found,) = verdicts(streams.gaps.stalls, StreamEvidence(sockets=sockets))
    return found


def samples(waiting: int = 0, before: int = 3, after: int = 3, segment: int = 1448) -> list[TcpInfo]:
    """Those of a silence: memory in use, how many segments had come out of order, the largest segment."""
    return [
        TcpInfo(0, "silent", ns(BEGIN + 110), {"rmem_alloc": waiting, "rcv_ooopack": before}),
        TcpInfo(0, "resumed", ns(END), {"rcv_ooopack": after, "rcv_mss": segment}),
    ]


def steady(begin: float, count: int = 20) -> list[tuple[float, int]]:
    """Tokens at the usual pace."""
    return [(begin + PACE * number, 1) for number in range(count)]


FLUSHED = [(END, 31), *steady(END + PACE)]
RESTARTED = [(END, 2), (END + ROUND_TRIP + 1, 32), *steady(END + 100)]
SHUFFLED = [(END, 1), (END + 20, 30), *steady(END + 40)]  # out of order on its way, and sent at once
PACED = [(END + 30 * number, 4) for number in range(12)]  # a slow link: each segment takes as long as it is
PAUSED = steady(END)
ENDING = steady(END, 2)


@pytest.mark.parametrize(
    ("found", "whose", "kind", "why"),
    [
        (judged(FLUSHED, samples(waiting=2304)), "network", "loss", "waited for a segment that was missing"),
        (judged(SHUFFLED, samples(after=5)), "server", None, "came after it, at once, and nothing had waited"),
        (judged(RESTARTED, samples(after=5)), "unknown", None, "nothing tells"),
        (judged(PACED, samples()), "unknown", None, "nothing tells"),
        (judged(ENDING, samples()), "unknown", None, "nothing tells"),
        (judged(PACED, samples(segment=800)), "network", None, "came in one full segment"),
        (judged(RESTARTED, samples()), "network", "loss", "one segment alone, the others 81 ms later"),
        (judged(FLUSHED, samples()), "server", None, "30 tokens were due meanwhile and came after it, at once"),
        (judged(PAUSED, samples()), "server", None, "nothing had been on its way"),
        (judged(PAUSED, samples(), pings=(1200, 1400)), "server", None, "keepalives of the stream arrived meanwhile"),
        (judged(FLUSHED, samples(), looked=BEGIN + 30), "client", None, "had not looked at its sockets for 590 ms"),
        (judged([], samples(waiting=2304)[:1]), "network", "loss", "waited for a segment that was missing, to the end"),
        (judged([], samples()[:1]), "unknown", None, "nothing tells whose it is"),
    ],
)
def test_each_sign_has_its_cause(found: Verdict, whose: str, kind: str | None, why: str) -> None:
    """What waited, what came out of order, what came after the silence and how, what came meanwhile."""
    assert found.cause == whose
    assert found.kind == kind
    assert why in found.sentence
    assert found.confidence == ("none" if whose == "unknown" else "likely")
    assert "tokens.jsonl: stream 0, token" in found.records[0]


@pytest.mark.parametrize(
    ("counts", "step", "advertised", "whose"),
    [
        ((5, 5, 6, 5, 5), 17, 1448, "network"),  # a link at its limit
        ((5, 5, 6, 5, 5), 2, 1448, "server"),  # sent at once, by something that holds it back
        ((5, 2, 5, 1, 7), 17, 1448, "unknown"),  # not full, so the sender had no more
        ((5, 5, 6, 5, 5), 17, 8948, "unknown"),  # pieces as small as the sender makes them
    ],
)
def test_full_segments_one_by_one_had_to_wait(counts: Sequence[int], step: float, advertised: int, whose: str) -> None:
    """On a stream whose tokens come five at a time, before the silence and after it."""
    made = Made()
    made.stream(0, [], ended=2000)
    times = [float(at) for at in range(0, 600, 90)] + [1000.0 + step * number for number in range(len(counts))]
    for number, (at, count) in enumerate(zip(times, (*(5,) * 7, *counts), strict=True)):
        made.records.append(SocketRead(0, number, ns(at), ns(at), ns(at - 1), 1448, (Event("content"),) * count))
    seen = {"rcv_mss": 1448, "advmss": advertised}
    infos = [TcpInfo(0, "silent", ns(700), seen), TcpInfo(0, "resumed", ns(1000), seen)]
    streams = made.streams()
    sockets = SocketEvidence(infos, streams.arrivals.signs, ns(0))

    (found,) = verdicts(streams.gaps.stalls, StreamEvidence(sockets=sockets))

    assert found.cause == whose


@pytest.mark.parametrize(
    ("before", "after", "whose"),
    [
        (80, 680, "network"),
        (80, 90, "server"),
        (600, 640, "server"),  # a path that has been long for some time
    ],
)
def test_a_path_that_became_longer_shows_in_other_handshakes(before: int, after: int, whose: str) -> None:
    """Nothing was lost, and tokens go on at their pace, as after a pause of the server; round trips in ms."""
    made = [TcpInfo(n, "connected", ns(n * 100 + before), {"rtt": before * 1000}) for n in range(1, 4)]
    made += [TcpInfo(n, "connected", ns(n * 100 + after), {"rtt": after * 1000}) for n in range(10, 14)]

    found = judged(PAUSED, [*made, *samples()])

    assert found.cause == whose
    assert found.kind == ("delay" if whose == "network" else None)


def test_out_of_order_segments_of_an_earlier_gap_say_nothing() -> None:
    """The count is that of this silence, not of the stream: before it had grown to three."""
    earlier = TcpInfo(0, "start", ns(-50), {"rcv_ooopack": 0})

    assert judged(FLUSHED, [earlier, *samples()]).cause == "server"


def test_where_little_was_due_nothing_follows_from_what_came() -> None:
    """A stream with a token each 150 ms: in a silence of 300 ms one was due."""
    made = Made()
    made.stream(0, [150 * number for number in range(20)] + [3150 + 150 * number for number in range(10)])
    streams = made.streams()

    (found,) = verdicts(streams.gaps.stalls, StreamEvidence(sockets=SocketEvidence((), streams.arrivals.signs)))

    assert found.cause == "unknown"


def test_a_verdict_names_the_samples_that_it_rests_on() -> None:
    """By their times since the run began."""
    assert judged(FLUSHED, samples(after=5)).records[1:] == (
        "tcp_info.jsonl: stream 0, silent at 1.090 s",
        "tcp_info.jsonl: stream 0, resumed at 1.600 s",
    )
