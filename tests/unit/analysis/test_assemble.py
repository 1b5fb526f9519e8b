"""Gaps, stalls and a reader's waits, computed by hand."""

from __future__ import annotations

from made_runs import Made, ns

from chaoskit.analysis.streams.assemble import Stream
from chaoskit.records.model import Event, SocketRead

MS = 1_000_000


def only(made: Made) -> Stream:
    """The one stream of this run."""
    found = made.streams()
    assert found.unfinished == 0
    return found.ended[0]


def test_gaps_run_from_token_to_token() -> None:
    """A complete stream of four tokens has three gaps and none after its end."""
    made = Made()
    made.stream(0, [100, 120, 150, 350], ended=900)

    assert [gap.length / MS for gap in only(made).gaps] == [20, 30, 200]
    assert not any(gap.is_stall for gap in only(made).gaps)


def test_a_stream_dies_in_its_last_gap() -> None:
    """The silence in which a stream died counts as long as it was waited for."""
    made = Made()
    made.stream(0, [100, 120], "idle_timeout", ended=5120)

    gap = only(made).gaps[-1]
    assert gap.length == 5000 * MS
    assert gap.is_last
    assert gap.is_stall


def test_a_cancelled_stream_keeps_its_last_gap_only_if_it_is_a_stall() -> None:
    """A stream that the end of the run cuts off keeps its last gap when that is over the threshold, and loses it
    when not."""
    made, short = Made(), Made()
    made.stream(0, [100, 120], "cancelled", ended=321)
    short.stream(0, [100, 120], "cancelled", ended=320)

    assert [gap.length / MS for gap in only(made).gaps] == [20, 201]
    assert [gap.length / MS for gap in only(short).gaps] == [20]


def test_tokens_of_one_read_are_coalesced() -> None:
    """Tokens of one read are 0 apart and flagged; pings and metadata are not tokens."""
    made = Made()
    made.stream(0, [100], ended=200)
    events = (Event("content"), Event("ping"), Event("reasoning"), Event("meta"), Event("content"))
    made.records += [
        SocketRead(0, 1, ns(150), ns(150), ns(150), 10, events),
        SocketRead(0, 2, ns(180), ns(180), ns(180), 10, (Event("done"),)),
    ]

    gaps = only(made).gaps
    assert [(gap.length / MS, gap.is_coalesced) for gap in gaps] == [(50, False), (0, True), (0, True)]


def test_a_planned_pause_is_not_a_stall() -> None:
    """A planned pause over the threshold is subtracted; a planned pace under it is not."""
    made = Made()
    made.stream(0, ended=2000)
    stamps = [(100, 0), (820, 700), (1060, 720), (1500, 1000)]
    made.records += [made.read(0, i, at, due=ns(due), seq=i, sent=ns(due)) for i, (at, due) in enumerate(stamps)]

    gaps = only(made).gaps
    assert [gap.length / MS for gap in gaps] == [720, 240, 440]
    assert [gap.excess / MS for gap in gaps] == [20, 240, 160]
    assert [gap.is_stall for gap in gaps] == [False, True, False]


def test_a_reader_waits_when_the_buffer_is_empty() -> None:
    """At 50 ms a token: tokens that arrive early are a buffer that a later gap uses up."""
    made = Made()
    made.stream(0, [100, 120, 140, 400, 420], "reset", ended=600)

    # read from 100, 150, 200 to 250; waits 150 until 400; reads 400, 450 to 500; waits 100 until the death
    assert [gap.wait / MS for gap in only(made).gaps] == [0, 0, 150, 0, 100]


def test_a_stamp_that_goes_back_gives_a_gap_of_zero() -> None:
    """Stamps corrected backwards between two reads give a gap of 0."""
    made = Made()
    made.stream(0, [100, 99.5, 120])

    assert [gap.length / MS for gap in only(made).gaps] == [0, 20.5]


def test_a_ping_is_a_sign_of_life() -> None:
    """A ping after the last token is the stream's last sign of life."""
    made = Made()
    made.stream(0, [100, 120], "idle_timeout", ended=5120)
    made.records.append(SocketRead(0, 2, ns(1000), ns(1000), ns(1000), 10, (Event("ping"),)))

    assert only(made).last_sign_of_life == ns(1000)


def test_streams_without_a_recorded_end_are_unfinished() -> None:
    """Reads of a stream whose request was not recorded belong to a stream that was open at the end."""
    made = Made()
    made.stream(0, [100, 120])

    made.records = [record for record in made.records if isinstance(record, SocketRead)]
    found = made.streams()
    assert (found.ended, found.unfinished) == ((), 1)
