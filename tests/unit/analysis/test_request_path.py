"""How the time to a first token divides, by the packets: each case is a connection told packet by packet.

The round trip is 40 ms. The request is sent at 40, and its last byte is acknowledged; tokens follow each 20 ms.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from made_packets import ACK, MS, PSH, Talk
from made_runs import START, Made, ns

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.result import PhaseResult
from chaoskit.analysis.segments.request_path import RequestPath, request_path
from chaoskit.records.model import TcpInfo

SENT = 40  # ms
VERSIONS = pytest.mark.parametrize("version", [4, 6])


def begun(version: int = 4, acked: float = 60) -> Talk:
    """The request is acknowledged with a packet that is sent then, and echoes when it was sent."""
    talk = Talk(version)
    talk.handshake()
    talk.acknowledge(acked, answers=acked - talk.trip / 2)
    return talk


def tokens(talk: Talk, first: float) -> None:
    """From then on."""
    for n in range(30):
        talk.token(first + 20 * n)


def parts(talk: Talk, folder: Path, first_token: float) -> RequestPath:
    """The parts of the time from the request to the token that came then."""
    found = request_path(talk.segments(folder), SENT * MS, round(first_token * MS))
    assert found is not None
    return found


def in_ms(found: RequestPath) -> tuple[float, float, float]:
    """Up, server, down."""
    return found.up / MS, found.server / MS, found.down / MS


@VERSIONS
def test_a_server_that_thinks_for_long_is_the_server(tmp_path: Path, version: int) -> None:
    """It acknowledges at once, and sends its first token 700 ms after it has the request."""
    talk = begun(version)
    tokens(talk, 760)

    found = parts(talk, tmp_path, 780)

    assert in_ms(found) == pytest.approx((20, 700, 20), abs=2)
    assert found.sentence == "by the packets"
    assert len(found.packets) == 3


def test_a_request_that_had_to_be_sent_again_is_the_way_up(tmp_path: Path) -> None:
    """Its only segment was lost twice; the answer echoes the third one."""
    talk = Talk()
    talk.handshake()
    talk.up(260, ACK | PSH, length=500)
    talk.up(700, ACK | PSH, length=500)
    talk.acknowledge(720, answers=700)
    tokens(talk, 820)

    found = parts(talk, tmp_path, 840)

    assert in_ms(found) == pytest.approx((680, 100, 20), abs=2)
    assert "2 segments of the request had to be sent again" in found.sentence


def test_a_path_that_becomes_longer_is_the_way_back(tmp_path: Path) -> None:
    """The first token is sent after 100 ms, and takes 400 ms more than those after it."""
    talk = begun()
    talk.token(160, took=420)
    for n in range(30):
        talk.token(600 + 20 * n)

    assert in_ms(parts(talk, tmp_path, 580)) == pytest.approx((20, 100, 420), abs=2)


@VERSIONS
def test_a_first_token_that_was_lost_is_not_the_servers(tmp_path: Path, version: int) -> None:
    """Its packet and two retransmissions never arrived: what its clock tells is when it was sent once more."""
    talk = begun(version)
    begin = talk.token(160, lost=True)
    for at in (400, 900):
        talk.again(at, begin, lost=True)
    talk.label += 5
    talk.again(1800, begin)
    tokens(talk, 1860)

    found = parts(talk, tmp_path, 1820)

    assert found.server == 0
    assert found.is_lossy
    assert "packets of the answer were lost" in found.sentence


@pytest.mark.parametrize("case", ["no stamps", "no handshake", "no answer"])
def test_without_the_packets_that_tell_nothing_is_told(tmp_path: Path, case: str) -> None:
    """Timestamps that were stripped, a capture that began later, a request that the capture does not have."""
    talk = Talk(has_stamps=case != "no stamps")
    if case != "no handshake":
        talk.handshake()
    if case != "no answer":
        talk.acknowledge(60, answers=SENT)
    else:
        talk.acked_by_server = 1001
    tokens(talk, 760)

    assert request_path(talk.segments(tmp_path), SENT * MS, 780 * MS) is None


def captured(folder: Path, server: float, up: float = 0) -> PhaseResult:
    """The phase with a stream of a server that stamps nothing, whose packets were captured; others came in 120 ms."""
    made = Made().phases().many(0, 3000, 120)
    talk = begun()
    talk.found.clear()
    at = 11_000.0
    talk.handshake(at - SENT)
    if up:
        talk.up(at + up, ACK | PSH, length=500)
    talk.acknowledge(at + up + 20, answers=at + up)
    tokens(talk, at + up + 20 + server)
    first = at + up + 40 + server
    made.stream(at, [first + 20 * n for n in range(30)], port=talk.port)
    run = made.write(folder / "run")
    talk.written(run, start=START)
    return analyse(run).phase("wifi")


def test_a_late_first_token_has_its_part_and_cause(tmp_path: Path) -> None:
    """Of a foreign server: others divide nothing, so what they have in common is compared, and what is known beside."""
    slow, lost = captured(tmp_path / "slow", 800), captured(tmp_path / "lost", 80, up=900)

    assert (slow.late_first_tokens, lost.late_first_tokens) == (1, 1)
    assert max(slow.first_token_causes, key=lambda cause: slow.first_token_causes[cause]) == "server"
    assert max(lost.first_token_causes, key=lambda cause: lost.first_token_causes[cause]) == "network"
    assert (slow.first_token_confidence, lost.first_token_confidence) == ("likely", "likely")
    assert "server" in slow.first_token_parts
    assert "upload" in lost.first_token_parts


@pytest.mark.parametrize(
    ("rise", "samples", "causes"),
    [
        (300, [], {"network": 300, "unknown": 500}),
        (0, [TcpInfo(30, "stuck", ns(11_600), {"unacked": 0})], {"server": 800}),
        (0, [TcpInfo(30, "stuck", ns(11_600), {"unacked": 0, "rmem_alloc": 2304})], {"network": 800}),
        (0, [TcpInfo(30, "stuck", ns(11_600), {"unacked": 2})], {"unknown": 800}),
    ],
)
def test_without_packets_the_socket_tells_some_of_it(
    tmp_path: Path, rise: int, samples: list[TcpInfo], causes: dict[str, float]
) -> None:
    """A handshake whose round trip had grown; a request that was acknowledged; an answer that waited for a segment."""
    made = Made().phases().many(0, 3000, 100)
    number = made.stream(11_000, [11_900, 11_920])
    for stream in range(number):
        made.records.append(TcpInfo(stream, "connected", ns(stream * 100), {"rtt": 40_000}))
    made.records += [
        TcpInfo(number, "connected", ns(11_000), {"rtt": (40 + rise) * 1000}),
        *samples,
        TcpInfo(number, "start", ns(11_900), {}),
    ]

    found = analyse(made.write(tmp_path / "run")).phase("wifi")

    assert number == 30
    assert found.first_token_causes == {cause: pytest.approx(time) for cause, time in causes.items()}
