"""The attribution of stalls to server, network and client, with and without the server's stamps."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made_runs import MS, Made, ns

from chaoskit.analysis.attribution.evidence import StreamEvidence, out_of_order_streams, stream_evidence
from chaoskit.analysis.attribution.gap_evidence import SocketEvidence
from chaoskit.analysis.attribution.sent_again import SentAgain
from chaoskit.analysis.attribution.stalls import attribution, verdicts
from chaoskit.analysis.result import StallAttribution
from chaoskit.records.model import Event, Request, ServedResponse, SocketRead, TcpInfo, Vitals


def attributed(made: Made, *went_on: int) -> StallAttribution:
    """The attribution of all stalls of a run."""
    infos = [record for record in made.records if isinstance(record, TcpInfo)]
    evidence = StreamEvidence(server_kept_sending=frozenset(went_on), out_of_order=out_of_order_streams(infos))
    return attribution(verdicts(made.streams().gaps, evidence))


def stamped(*tokens: tuple[float, float, float, float]) -> Made:
    """A stream whose tokens were due, sent, arrived and were read at these times."""
    made = Made()
    made.stream(0, ended=tokens[-1][2])
    for number, (due, sent, at, user) in enumerate(tokens):
        made.records.append(made.read(0, number, at, late=user - at, seq=number, due=ns(due), sent=ns(sent)))
    return made


@pytest.mark.parametrize(
    ("token", "whose"),
    [
        ((20, 320, 321, 321), "server_ms"),
        ((20, 20, 321, 321), "network_ms"),
    ],
)
def test_a_single_cause_gets_all_of_the_time(token: tuple[float, float, float, float], whose: str) -> None:
    """A token sent late is the server's stall, one that took long in transit the network's."""
    found = attributed(stamped((0, 0, 1, 1), token))

    assert found.stalls == 1
    assert getattr(found, whose) == pytest.approx(120)
    assert found.server_ms + found.network_ms + found.client_ms + found.unknown_ms == pytest.approx(120)


def test_the_time_is_divided_by_lateness() -> None:
    """100 ms late from the server, 200 ms longer in transit, 100 ms unread: a quarter, a half, a quarter."""
    found = attributed(stamped((0, 0, 1, 1), (20, 120, 321, 421)))

    assert (found.server_ms, found.network_ms, found.client_ms) == pytest.approx((30, 60, 30))


def test_a_constant_delay_is_not_a_stall() -> None:
    """Tokens that all take 500 ms in transit have no gap to attribute."""
    assert attributed(stamped((0, 0, 500, 500), (20, 20, 520, 520), (40, 40, 540, 540))).stalls == 0


def test_only_an_increase_of_lateness_counts() -> None:
    """A server that was 300 ms late before does not cause the stall that the network adds."""
    found = attributed(stamped((0, 300, 301, 301), (20, 320, 621, 621)))

    assert found.server_ms == 0
    assert found.network_ms == pytest.approx(120)


def test_the_last_gap_is_the_networks_if_the_server_kept_sending() -> None:
    """Where the server sent more than arrived the network is the cause; else the cause is unknown."""
    made = Made()
    made.stream(0, [100, 120], "idle_timeout", ended=1320)

    assert attributed(made, 0).network_ms == 1000
    assert attributed(made).unknown_ms == 1000


def test_stamps_make_it_exact() -> None:
    """An attribution from stamps is exact and has no reason."""
    found = attributed(stamped((0, 0, 1, 1), (20, 320, 321, 321)))

    assert (found.confidence, found.reason) == ("exact", "")


def judged(made: Made) -> StallAttribution:
    """The same with all evidence that the records have."""
    records = made.records
    arrived = {each.stream: each.tokens for each in records if isinstance(each, Request)}
    evidence = stream_evidence(
        arrived,
        [each for each in records if isinstance(each, TcpInfo)],
        [each for each in records if isinstance(each, ServedResponse)],
        [each for each in records if isinstance(each, Vitals)],
    )
    return attribution(verdicts(made.streams().gaps, evidence))


def died(late: float | None) -> Made:
    """A stream that died after 3 s of silence; its server says how late it was, and that it sent more; or nothing."""
    made = Made()
    made.stream(0, ended=3100, completion="idle_timeout")
    (request,) = (each for each in made.records if isinstance(each, Request))
    made.records = [replace(request, tokens=2)]
    for number, at in enumerate((80, 100)):
        made.records.append(made.read(0, number, at, seq=number, due=ns(at - 1), sent=ns(at - 1)))
    if late is not None:
        made.records.append(ServedResponse(0, ns(0), ns(79), ns(9000), 60, 60, round(late * MS), "client-left"))
    return made


def test_a_server_that_stood_still_is_not_the_network() -> None:
    """It sent the rest to a client that had left: what it was late may be the whole silence, and the report says so."""
    found = judged(died(late=5000))

    assert (found.network_ms, found.unknown_ms) == (0, 2800)
    assert found.confidence == "none"
    assert found.reason == "1 stream died while the server was up to 5 s behind its own schedule"


def test_a_short_lateness_takes_away_no_more_than_itself() -> None:
    """Half a second late in three seconds of silence: the rest is the network's, likely; 1 ms late is no doubt."""
    found, exact = judged(died(late=500)), judged(died(late=1))

    assert (found.network_ms, found.unknown_ms, found.confidence) == (2300, 500, "likely")
    assert (exact.network_ms, exact.confidence, exact.reason) == (2800, "exact", "")


def test_a_server_that_sent_nothing_more_is_the_cause() -> None:
    """Its record: all that it had sent had arrived when the client left, and 58 more tokens were to come."""
    made = died(late=None)
    made.records.append(ServedResponse(0, ns(0), ns(79), ns(3100), 60, 2, 0, "client-left"))

    found = judged(made)

    assert (found.server_ms, found.confidence, found.reason) == (2800, "exact", "")


def test_a_lost_end_is_not_the_servers() -> None:
    """All tokens had arrived, and its end was sent as well: nothing says that the server was silent."""
    made = died(late=None)
    made.records.append(ServedResponse(0, ns(0), ns(79), ns(3100), 2, 2, 0, "sent"))

    assert judged(made).unknown_ms == 2800


def test_without_the_servers_record_nothing_is_exact() -> None:
    """A run that was cut off has no record of the server for a stream that died."""
    found = judged(died(late=None))

    assert (found.unknown_ms, found.confidence) == (2800, "none")
    assert found.reason == "1 stream died of which the server left no record"


def test_only_a_late_process_of_the_client_is_held_against_its_streams() -> None:
    """The stream is that of the first of two processes: the second one's lag says nothing about it."""

    def seen(late: int) -> StallAttribution:
        made = died(late=1)
        lags = [(0, 643 if late == 0 else 1), (1, 643 if late == 1 else 1)]
        made.records += [Vitals(ns(900), 1, 1, 1, lag * MS, 0, None, process) for process, lag in lags]
        return judged(made)

    found, other = seen(late=0), seen(late=1)

    assert (found.client_ms, found.network_ms, found.confidence) == (643, 2157, "likely")
    assert found.reason == "the client itself did not look at its sockets for up to 643 ms during 1 stall"
    assert (other.client_ms, other.network_ms, other.confidence) == (0, 2800, "exact")


@pytest.mark.parametrize(("looked", "client"), [(900, 0), (600, 240), (15, 720), (5, 720)])
def test_what_may_have_waited_for_a_client_that_did_not_look_is_the_clients(looked: float, client: float) -> None:
    """A token 900 ms later in transit: what the client had not looked is its own; 15 ms are nothing."""
    made = stamped((0, 0, 1, 1), (20, 20, 921, 921))
    made.records[-1] = made.read(0, 1, 921, looked=looked, seq=1, due=ns(20), sent=ns(20))

    found = judged(made)

    assert found.client_ms == pytest.approx(client, abs=17)
    assert found.network_ms == pytest.approx(720 - client, abs=17)
    assert found.confidence == ("likely" if client else "exact")


def burst(*sent: float, out_of_order: int = 0, retransmitted: int = 0) -> StallAttribution:
    """A stall of a second that ends with tokens in one read, which the server had sent at these times."""
    made = Made()
    made.stream(0, ended=1100)
    made.records.append(made.read(0, 0, 1, seq=0, due=ns(0), sent=ns(0)))
    events = tuple(Event("content", seq, ns(at), ns(at)) for seq, at in enumerate(sent, 1))
    made.records.append(SocketRead(0, 1, ns(1001), ns(1001), ns(1000), 900, events))
    made.records += [
        TcpInfo(0, "start", ns(1), {"rcv_ooopack": 1}),
        TcpInfo(0, "end", ns(1100), {"rcv_ooopack": 1 + out_of_order}),
    ]
    made.records.append(
        ServedResponse(
            0, ns(0), ns(0), ns(1), 9, 9, 0, "sent", {"total_retrans": retransmitted, "rtt": 40}, {"rtt": 40}
        )
    )
    return judged(made)


EACH = tuple(range(20, 1000, 20))


@pytest.mark.parametrize(
    ("found", "whose"),
    [
        (burst(*EACH), "between_ms"),
        (burst(*EACH, out_of_order=1), "network_ms"),
        (burst(*EACH, retransmitted=1), "network_ms"),
        (burst(20, 21, 22), "network_ms"),
        (burst(20), "network_ms"),
    ],
)
def test_what_was_sent_apart_and_came_together_on_a_clean_connection_was_held(
    found: StallAttribution, whose: str
) -> None:
    """Not where the connection shows trouble, and not where the server itself had sent at once what came at once."""
    assert found.stalls == 1
    assert getattr(found, whose) > 0.9 * (found.between_ms + found.network_ms + found.server_ms + found.unknown_ms)


def test_a_verdict_says_when_the_token_was_sent_and_how_late_it_came() -> None:
    """With the number of the token, the time by the server's clock since the run began, and the records."""
    made = stamped((0, 0, 1, 1), (20, 320, 721, 721))
    (found,) = verdicts(made.streams().gaps.stalls, StreamEvidence(origin=ns(0)))

    assert found.sentence == (
        "sent 300 ms late at 0.320 s by the server's clock; 400 ms longer on its way than the token before"
    )
    assert (found.cause, found.kind, found.stall.number) == ("network", None, 1)
    assert found.records == ("tokens.jsonl: stream 0, tokens 1 and 2",)


def test_the_network_is_summed_by_what_it_was() -> None:
    """A stall of each kind, and one of which nothing tells it: their sum is the network's."""
    made = Made()
    for number, count in enumerate((0, 3, 0)):
        made.stream(0, ended=721)
        for index, at in enumerate((1, 721)):
            made.records.append(made.read(number, index, at, seq=index, due=ns(20 * index), sent=ns(20 * index)))
        made.records += [
            TcpInfo(number, "silent", ns(110), {"rmem_alloc": 0, "rcv_ooopack": 1}),
            TcpInfo(number, "resumed", ns(721), {"rcv_ooopack": 1 + count}),
        ]
    infos = [each for each in made.records if isinstance(each, TcpInfo)]
    counts = {0: SentAgain((), until=ns(800))}
    found = attribution(verdicts(made.streams().gaps, StreamEvidence(sockets=SocketEvidence(infos), sent_again=counts)))

    assert found.network_kinds == {"delay": pytest.approx(520), "loss": pytest.approx(520)}
    assert found.network_ms == pytest.approx(1560)
