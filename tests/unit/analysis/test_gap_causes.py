"""Whose a gap was, by its packets: each case is a connection told packet by packet, with one silence of 400 ms or so.

The server sends a token each 20 ms; the round trip is 40 ms, so that one sent at 100 arrives at 120.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from made_packets import MS, Talk

from chaoskit.analysis.segments.captured_connections import load_capture
from chaoskit.analysis.segments.cause import LIKELY, WEAK, WireCause, cause
from chaoskit.analysis.segments.gap_evidence import WireEvidence, gap_evidence

LAST = 500  # ms: when the last token before the silence is sent
VERSIONS = pytest.mark.parametrize("version", [4, 6])


def begun(version: int = 4, **more: object) -> Talk:
    """A connection with 21 tokens."""
    talk = replace(Talk(version), **more)  # type: ignore[arg-type]
    talk.handshake()
    for sent in range(100, LAST + 1, 20):
        talk.token(sent)
    return talk


def go_on(talk: Talk, sent: int, count: int = 12) -> None:
    """More tokens from then on."""
    for n in range(count):
        talk.token(sent + 20 * n)


def judged(talk: Talk, folder: Path, end: float, dropped: int = 0) -> tuple[WireEvidence, WireCause]:
    """The evidence and the verdict about the gap after the last token, which ended then."""
    found = gap_evidence(talk.segments(folder, dropped), (LAST + 20) * MS, round(end * MS))
    return found, cause(found)


def lose_a_flight(talk: Talk) -> None:
    """The next ten tokens and the first retransmission of them are lost; the second one begins anew after 400 ms."""
    flight = [talk.token(LAST + 20 * (n + 1), lost=True) for n in range(10)]
    talk.again(LAST + 260, flight[0], lost=True)
    talk.label += 77 * (talk.version == 6)
    talk.again(LAST + 400, flight[0])
    for begin in flight[1:3]:
        talk.again(LAST + 440, begin, length=400)
    go_on(talk, LAST + 480)


@VERSIONS
def test_a_flight_that_was_lost_is_the_network_s(tmp_path: Path, version: int) -> None:
    """All that was in flight, so that nothing arrives until the sender's timer has run out."""
    talk = begun(version)
    lose_a_flight(talk)

    evidence, found = judged(talk, tmp_path, LAST + 420)

    assert (found.side, found.kind) == ("network", "loss")
    assert evidence.silence == 400 * MS
    assert evidence.lost == (11 if version == 4 else None)
    assert evidence.timeouts == (1 if version == 6 else None)
    assert ("11 packets" if version == 4 else "new flow label") in found.sentence


@VERSIONS
def test_a_server_that_pauses_is_the_server(tmp_path: Path, version: int) -> None:
    """And goes on at its pace, as an engine does."""
    talk = begun(version)
    go_on(talk, LAST + 400)

    evidence, found = judged(talk, tmp_path, LAST + 420)

    assert found.side == "server"
    assert evidence.sent_apart == pytest.approx(400 * MS, abs=2 * MS)
    assert "sent nothing for 400 ms by its own clock" in found.sentence


@VERSIONS
def test_a_server_that_catches_up_is_the_server(tmp_path: Path, version: int) -> None:
    """All that was due comes at once, as from a program that was stopped."""
    talk = begun(version)
    for _ in range(18):
        talk.token(LAST + 400)
    go_on(talk, LAST + 420)

    assert judged(talk, tmp_path, LAST + 420)[1].side == "server"


def test_a_pause_whose_first_token_is_lost_is_still_the_server_s(tmp_path: Path) -> None:
    """The rest of the burst arrived 400 ms later, and waited 50 ms for the retransmission."""
    talk = begun()
    first = talk.token(LAST + 400, lost=True)
    for _ in range(5):
        talk.token(LAST + 400)
    talk.again(LAST + 450, first)
    go_on(talk, LAST + 460)

    _, found = judged(talk, tmp_path, LAST + 470)

    assert found.side == "server"
    assert found.network == pytest.approx(90 * MS, abs=10 * MS)
    assert "only 1 packet of that time never arrived" in found.sentence


def test_later_segments_that_wait_are_the_network_s(tmp_path: Path) -> None:
    """One token is lost three times; those behind it wait."""
    talk = begun()
    lost = talk.token(LAST + 20, lost=True)
    for n in range(1, 15):
        talk.token(LAST + 20 + 20 * n)
    talk.again(LAST + 100, lost, lost=True)
    talk.again(LAST + 310, lost)
    go_on(talk, LAST + 340)

    evidence, found = judged(talk, tmp_path, LAST + 330)

    assert (found.side, found.kind) == ("network", "loss")
    assert evidence.waited == 14
    assert "was a retransmission" in found.sentence


@VERSIONS
def test_a_segment_that_is_overtaken_is_reorder(tmp_path: Path, version: int) -> None:
    """It took 400 ms more, and nothing was sent again."""
    talk = begun(version)
    talk.token(LAST + 20, took=420)
    go_on(talk, LAST + 40, 30)

    _, found = judged(talk, tmp_path, LAST + 440)

    assert (found.side, found.kind) == ("network", "reorder" if version == 4 else found.kind)


@VERSIONS
def test_a_path_that_becomes_longer_is_delay(tmp_path: Path, version: int) -> None:
    """Sent 20 ms after the one before, and 400 ms longer on its way, as all after it."""
    talk = begun(version)
    for n in range(20):
        talk.token(LAST + 20 + 20 * n, took=420)

    _, found = judged(talk, tmp_path, LAST + 440)

    assert (found.side, found.kind) == ("network", "delay")
    assert "sent 20 ms after the one before by the server's clock, 400 ms longer on its way" in found.sentence


def test_data_that_only_our_acknowledgement_tells_of_ends_a_silence(tmp_path: Path) -> None:
    """The capture lacks its packet; the next one that came holds older data, which had been sent again."""
    talk = begun()
    missing = talk.token(LAST + 20, lost=True)
    talk.up(LAST + 200, acked=talk.sent)
    talk.again(LAST + 300, missing - 200)
    go_on(talk, LAST + 320)

    evidence, _ = judged(talk, tmp_path, LAST + 320)

    assert (evidence.ending, evidence.silence, evidence.hole) == ("segment", 300 * MS, 0)


def test_a_link_at_its_limit_is_rate(tmp_path: Path) -> None:
    """Segments of 1200 bytes, each 300 ms after the one before, however the sender sent them."""
    talk = Talk()
    talk.handshake()
    for sent in range(100, LAST + 1, 20):
        talk.token(sent, length=100)
    for n in range(1, 12):
        talk.token(LAST + 20 + 300 * max(0, n - 4), took=300 * n - 300 * max(0, n - 4), length=1200)

    _, found = judged(talk, tmp_path, LAST + 20 + 300)

    assert (found.side, found.kind) == ("network", "rate")


@pytest.mark.parametrize(
    ("acked", "length", "side"),
    [
        (LAST + 280, 1000, "network"),  # sent as soon as our acknowledgement came
        (LAST + 20, 1000, "server"),  # that had come long before: it had nothing to send
        (LAST + 280, 200, "server"),  # one token, which had not waited for others
    ],
)
def test_what_waited_for_our_acknowledgement_is_queueing(tmp_path: Path, acked: int, length: int, side: str) -> None:
    """The first packet after the silence is sent 300 ms after the one before by the server's clock."""
    talk = begun()
    talk.up(acked, acked=talk.sent)
    talk.token(LAST + 300, length=length, answers=acked)
    go_on(talk, LAST + 320)

    _, found = judged(talk, tmp_path, LAST + 320)

    assert (found.side, found.kind) == (side, "queueing" if side == "network" else None)


@pytest.mark.parametrize(
    ("length", "is_in_flight", "side"),
    [
        (600, True, "network"),  # three texts joined, and the sender still waited for acknowledgements
        (200, True, "server"),  # one text: it was sent when it was written, whatever was in flight
        (600, False, "server"),  # all had been acknowledged long before: nothing kept the sender from sending
    ],
)
def test_texts_that_came_joined_while_data_was_in_flight_had_to_wait(
    tmp_path: Path, length: int, is_in_flight: bool, side: str
) -> None:
    """Sent 400 ms after the one before by the server's clock, on a path whose queue takes 900 ms."""
    talk = begun()
    for sent in range(LAST + 20, LAST + 101, 20):
        talk.token(sent, took=920)
    talk.up(LAST + 200, acked=talk.sent if not is_in_flight else 2000)
    talk.token(LAST + 500, length=length, took=920, answers=LAST + 200)
    talk.token(LAST + 520, took=920, answers=LAST + 200)

    found = cause(gap_evidence(talk.segments(tmp_path), (LAST + 1020) * MS, (LAST + 1420) * MS))

    assert (found.side, found.kind) == (side, "queueing" if side == "network" else None)


def test_what_overtook_others_by_a_round_trip_is_thrown_away(tmp_path: Path) -> None:
    """The retransmission came first; the delayed originals behind it have older timestamps (PAWS), and do not count."""
    talk = begun()
    flight = [talk.token(LAST + 20 * (n + 1), took=600) for n in range(4)]
    talk.again(LAST + 200, flight[0])
    for n in (1, 2, 3):
        talk.again(LAST + 700, flight[n])

    segments = talk.segments(tmp_path)
    read = {int(at): int(until) for at, until in zip(segments.down.at // MS, segments.delivered, strict=True)}

    assert read[LAST + 680] == read[LAST + 220] < read[LAST + 720]
    assert cause(gap_evidence(segments, (LAST + 220) * MS, (LAST + 720) * MS)).side == "network"


@pytest.mark.parametrize("window", [0, 3])
def test_a_closed_window_is_the_client_s(tmp_path: Path, window: int) -> None:
    """We had told the server that we had no room, or too little for a segment: 3 x 128 bytes."""
    talk = begun()
    talk.up(LAST + 21, window=window, acked=talk.sent)
    talk.up(LAST + 380, window=500, acked=talk.sent)
    go_on(talk, LAST + 400)

    assert judged(talk, tmp_path, LAST + 420)[1].side == "client"


def test_without_any_sign_of_a_timeout_a_pattern_decides(tmp_path: Path) -> None:
    """On IPv6 without flow labels: one segment alone, the rest a round trip later. The verdict is weak, and says so."""
    talk = begun(6, label=0)
    lose_a_flight(replace_label(talk))

    _, found = judged(talk, tmp_path, LAST + 420)

    assert (found.side, found.kind, found.confidence) == ("network", "loss", WEAK)
    assert "IPv6 does not count packets" in found.sentence


def replace_label(talk: Talk) -> Talk:
    """The same, whose label stays 0."""
    talk.label = -77
    talk.found = [each._replace(headers=b"\x60\0\0\0" + each.headers[4:]) for each in talk.found]
    return talk


def rewritten(talk: Talk, ident: Callable[[int, int], int]) -> Talk:
    """The identifications of the server's packets are others."""
    found = []
    for place, each in enumerate(talk.found):
        old = int.from_bytes(each.headers[4:6], "big")
        new = ident(place, old) % 2**16 if not each.is_outgoing else old
        found.append(each._replace(headers=each.headers[:4] + new.to_bytes(2, "big") + each.headers[6:]))
    talk.found = found
    return talk


@pytest.mark.parametrize(
    ("ident", "why"),
    [
        (lambda _, __: 0, "always the same"),
        (lambda place, _: random.Random(place).randrange(2**16), "random"),
        (lambda place, old: old + 3 * place, "other connections"),
    ],
)
def test_identifications_that_do_not_count_are_not_believed(
    tmp_path: Path, ident: Callable[[int, int], int], why: str
) -> None:
    """A pause is not called a loss because of them, nor a loss a pause; the verdict says what is missing."""
    paused, lost = begun(), begun()
    go_on(paused, LAST + 400)
    lose_a_flight(lost)

    seen, verdict = judged(rewritten(paused, ident), tmp_path, LAST + 420)
    blind, _ = judged(rewritten(lost, ident), tmp_path, LAST + 420)

    assert (seen.lost, blind.lost) == (None, None)
    assert verdict.side == "server"
    assert verdict.confidence <= LIKELY
    assert why in verdict.sentence


@pytest.mark.parametrize("tick", [1, 4, 10])
def test_the_server_s_clock_may_tick_slowly(tmp_path: Path, tick: float) -> None:
    """As other systems' do: the verdict is the same."""
    talk = begun(tick=tick)
    go_on(talk, LAST + 400)

    segments = talk.segments(tmp_path)

    assert segments.clock.tick == tick * MS
    assert judged(talk, tmp_path, LAST + 420)[1].side == "server"


@pytest.mark.parametrize("has_echoes", [True, False])
def test_a_tick_that_a_queue_hides_is_told_otherwise(tmp_path: Path, has_echoes: bool) -> None:
    """Packets that were sent 20 ms apart come 55 ms apart: by what they echo, or by another connection."""
    talk, chance = Talk(tick=4), random.Random(5)
    talk.handshake()
    took = 20.0
    for sent in range(100, 1500, 20):
        took = max(took + chance.uniform(-20, 90), 20)
        talk.token(sent, took=took, answers=None if has_echoes else 40)
    for each in begun(tick=4).found:
        ports = each.headers[20:24].replace(talk.port.to_bytes(2, "big"), (40_001).to_bytes(2, "big"))
        if not has_echoes:
            talk.found.append(each._replace(headers=each.headers[:20] + ports + each.headers[24:]))

    found = load_capture(talk.written(tmp_path), [talk.port, 40_001])

    assert found is not None
    assert found.by_port[talk.port][0].clock.tick == 4 * MS


def test_a_queue_of_seconds_is_no_clock_that_was_set(tmp_path: Path) -> None:
    """It grows by three seconds; our acknowledgements, which the server echoes, went the other way in time."""
    talk = begun()
    for n in range(40):
        sent = LAST + 20 + 20 * n
        talk.up(sent - 20)
        talk.token(sent, took=20 + 100 * n, answers=sent - 20)

    assert talk.segments(tmp_path).clock.is_believed


def test_a_clock_that_is_too_fast_is_corrected(tmp_path: Path) -> None:
    """By 200 ppm, over ten minutes."""
    talk = Talk(tick=0.9998)
    talk.handshake()
    for sent in range(100, 600_000, 200):
        talk.token(sent)

    clock = talk.segments(tmp_path).clock

    assert clock.is_believed
    assert clock.skew == pytest.approx(-200e-6, rel=0.1)


@pytest.mark.parametrize("case", ["stripped", "random", "jumps", "stands"])
def test_timestamps_that_are_no_clock_are_not_believed(tmp_path: Path, case: str) -> None:
    """Stripped, random, jumping back, never advancing: it is said, and identifications still tell loss from a pause."""
    paused, lost = begun(has_stamps=case != "stripped"), begun(has_stamps=case != "stripped")
    go_on(paused, LAST + 400)
    lose_a_flight(lost)
    for talk in (paused, lost):
        for place, each in enumerate(talk.found):
            if case == "stripped" or each.is_outgoing:
                continue
            old = int.from_bytes(each.headers[44:48], "big")
            chance = random.Random(place).randrange(2**32)
            new = {"random": chance, "jumps": (old - 9000 * (place % 2)) % 2**32, "stands": 5}[case]
            talk.found[place] = each._replace(headers=each.headers[:44] + new.to_bytes(4, "big") + each.headers[48:])

    seen, verdict = judged(paused, tmp_path, LAST + 420)

    assert seen.sent_apart is None
    assert "server's" in seen.doubts[0]
    assert verdict.side == "server"
    assert judged(lost, tmp_path, LAST + 420)[1].side == "network"


def test_a_long_segment_is_several_packets(tmp_path: Path) -> None:
    """The receiving machine put them together (GRO): their identifications are not missing."""
    talk = begun()
    talk.token(LAST + 1, length=1448 * 3)
    talk.ident += 2
    go_on(talk, LAST + 400)

    evidence, found = judged(talk, tmp_path, LAST + 420)

    assert evidence.lost == 0
    assert found.side == "server"


def test_what_the_capture_dropped_lowers_the_confidence(tmp_path: Path) -> None:
    """And the sentence says it."""
    talk = begun()
    lose_a_flight(talk)

    _, found = judged(talk, tmp_path, LAST + 420, dropped=3)

    assert found.confidence == WEAK
    assert "the capture itself dropped 3 packets" in found.sentence
