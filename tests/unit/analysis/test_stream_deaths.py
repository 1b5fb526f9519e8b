"""Whose it was that a stream died: each case is a connection told packet by packet, which the client gives up.

The server sends a token each 20 ms until 500; the round trip is 40 ms. Then nothing comes; at 2520 the client closes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from made_packets import ACK, FIN, MS, PSH, RST, Talk

from chaoskit.analysis.segments.cause import CERTAIN, LIKELY, WEAK
from chaoskit.analysis.segments.death import Death, death

LAST, GIVES_UP = 500, 2520  # ms
VERSIONS = pytest.mark.parametrize("version", [4, 6])


def begun(version: int = 4) -> Talk:
    """A connection with 21 tokens, all of which the client acknowledged."""
    talk = Talk(version)
    talk.handshake()
    for sent in range(100, LAST + 1, 20):
        talk.token(sent)
        talk.up(sent + 20, acked=talk.sent)
    return talk


def gives_up(talk: Talk, *again: float) -> None:
    """The client closes, and sends its FIN again at these times."""
    for at in (GIVES_UP, *again):
        talk.up(at, FIN | ACK, acked=21 * 200)


def judged(talk: Talk, folder: Path, ended: float = GIVES_UP) -> Death:
    """The verdict."""
    return death(talk.segments(folder), round(ended * MS))


@VERSIONS
@pytest.mark.parametrize("flags", [ACK, FIN | ACK])
def test_a_server_that_answers_with_nothing_missing_was_silent_itself(tmp_path: Path, version: int, flags: int) -> None:
    """Its kernel acknowledges our FIN, or closes as well, with the number of the next data that we wait for."""
    talk = begun(version)
    gives_up(talk)
    talk.fin(GIVES_UP + 40, flags)

    found = judged(talk, tmp_path)

    assert (found.told.side, found.told.confidence) == ("server", CERTAIN)
    assert found.told.server == (GIVES_UP - LAST - 20) * MS
    assert "answered 40 ms after the end: it had sent nothing that did not arrive" in found.told.sentence
    assert len(found.packets) == 2


@VERSIONS
def test_an_answer_from_beyond_what_arrived_tells_of_a_black_hole(tmp_path: Path, version: int) -> None:
    """Small packets pass, so the path seems alive; but three segments had been sent, and sent again."""
    talk = begun(version)
    for n in range(3):
        begin = talk.token(LAST + 20 * (n + 1), length=1400, lost=True)
        talk.again(LAST + 300 * (n + 1), begin, length=1400, lost=True)
    gives_up(talk)
    talk.fin(GIVES_UP + 40, ACK)

    found = judged(talk, tmp_path)

    assert (found.told.side, found.told.kind) == ("network", "black-hole")
    assert "4200 bytes that the server had sent never arrived" in found.told.sentence


@pytest.mark.parametrize(("is_lost", "side"), [(True, "network"), (False, "server")])
def test_data_that_comes_too_late_tells_when_it_was_sent(tmp_path: Path, is_lost: bool, side: str) -> None:
    """After an outage the retransmission arrives; a server that wakes up sends what is new."""
    talk = begun()
    if is_lost:
        begin = talk.token(LAST + 20, lost=True)
        talk.again(LAST + 1000, begin, lost=True)
        talk.again(GIVES_UP + 60, begin)
    else:
        talk.token(GIVES_UP + 60)
    gives_up(talk)
    talk.fin(GIVES_UP + 100, ACK)

    assert judged(talk, tmp_path).told.side == side


@VERSIONS
def test_a_path_on_which_nothing_answers_is_the_network_s(tmp_path: Path, version: int) -> None:
    """Neither to the first FIN nor to those that follow."""
    talk = begun(version)
    gives_up(talk, GIVES_UP + 250, GIVES_UP + 700, GIVES_UP + 1600)

    found = judged(talk, tmp_path)

    assert (found.told.side, found.told.kind, found.told.confidence) == ("network", "black-hole", LIKELY)
    assert "none of the 4 packets" in found.told.sentence


def test_where_the_capture_dropped_packets_a_missing_answer_tells_nothing(tmp_path: Path) -> None:
    """It may be among these."""
    talk = begun()
    gives_up(talk, GIVES_UP + 250, GIVES_UP + 1600)

    found = death(talk.segments(tmp_path, dropped=2), GIVES_UP * MS)

    assert found.told.side == "unknown"
    assert "dropped 2 packets" in found.told.sentence


def test_a_capture_that_ends_too_early_tells_nothing(tmp_path: Path) -> None:
    """No answer yet."""
    talk = begun()
    gives_up(talk, GIVES_UP + 250)

    found = judged(talk, tmp_path)

    assert found.told.side == "unknown"
    assert "look alike" in found.told.sentence


@pytest.mark.parametrize("is_answered", [False, True])
def test_a_request_that_was_never_acknowledged_is_the_network_s(tmp_path: Path, is_answered: bool) -> None:
    """Also where its small last part got through, and the server's kernel answers our FIN."""
    talk = Talk()
    talk.handshake()
    for at in (260, 700, 1600):
        talk.up(at, ACK | PSH, length=1448)
    if is_answered:
        talk.acked_by_server = 1001
        talk.fin(60, ACK)
        talk.fin(2600, ACK)

    found = judged(talk, tmp_path, 2560)

    assert (found.told.side, found.told.kind) == ("network", "black-hole")
    assert "never acknowledged" in found.told.sentence


def test_what_waits_behind_a_hole_to_the_end_is_the_network_s(tmp_path: Path) -> None:
    """Loss, whatever the server's kernel answers."""
    talk = begun()
    talk.token(LAST + 20, lost=True)
    talk.token(LAST + 40)
    gives_up(talk)
    talk.fin(GIVES_UP + 40, ACK)

    found = judged(talk, tmp_path)

    assert (found.told.side, found.told.kind) == ("network", "loss")
    assert "1 segment waited behind a hole to the end" in found.told.sentence


def test_a_server_that_closes_is_the_server(tmp_path: Path) -> None:
    """In order, without the end of the stream."""
    talk = begun()
    talk.fin(LAST + 300)

    found = judged(talk, tmp_path, LAST + 310)

    assert found.told.side == "server"
    assert "FIN" in found.told.sentence


def own(talk: Talk) -> None:
    """As the server's kernel resets a connection of its own."""
    talk.fin(LAST + 300, RST | ACK)


def own_without_stamps(talk: Talk) -> None:
    """The same where timestamps are stripped."""
    talk.has_stamps = False
    talk.fin(LAST + 300, RST | ACK)


@VERSIONS
@pytest.mark.parametrize(
    ("reset", "side", "confidence", "words"),
    [
        (own, "server", CERTAIN, "the next timestamp of the server's clock"),
        (lambda talk: talk.forged_reset(LAST + 300, 61), "between", WEAK, "TTL 61, the server's packets with 57"),
        (lambda talk: talk.forged_reset(LAST + 300, 57), "server", WEAK, "as far as the server's packets did"),
    ],
)
def test_a_reset_tells_where_it_comes_from(
    tmp_path: Path, version: int, reset: Callable[[Talk], None], side: str, confidence: float, words: str
) -> None:
    """By the server's own numbers in it, or by how far it came."""
    talk = begun(version)
    reset(talk)

    found = judged(talk, tmp_path, LAST + 300)

    assert (found.told.side, found.told.confidence) == (side, confidence)
    assert words in found.told.sentence


def test_without_timestamps_the_servers_count_tells_whose_reset_it_is(tmp_path: Path) -> None:
    """IPv4 alone has it."""
    talk = begun()
    own_without_stamps(talk)

    assert "the next number of the server's packets" in judged(talk, tmp_path, LAST + 300).told.sentence


def test_a_reset_without_any_other_packet_tells_nothing(tmp_path: Path) -> None:
    """There is nothing to compare it with."""
    talk = Talk()
    talk.handshake()
    talk.forged_reset(100, 57)

    assert judged(talk, tmp_path, 100).told.side == "unknown"


def test_a_client_without_room_is_the_client(tmp_path: Path) -> None:
    """It had said so, and gives up on itself."""
    talk = begun()
    talk.up(LAST + 25, window=0, acked=talk.sent)
    gives_up(talk)

    assert judged(talk, tmp_path).told.side == "client"
