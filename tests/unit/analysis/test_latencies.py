"""Latencies of first tokens that were late, never arrived, or were censored."""

from __future__ import annotations

import math

from made_runs import Made, ns

from chaoskit.analysis.streams.latencies import Latency, Unreached, latencies, resolve_censored

MS = 1_000_000


def by_name(made: Made) -> dict[str, Latency]:
    """All latencies of the first stream, by name."""
    return {latency.name: latency for latency in latencies(made.streams().ended[0])}


def test_latencies_count_from_the_scheduled_time() -> None:
    """A request that was sent 40 ms after its scheduled time includes those; from `sent` it does not."""
    made = Made()
    made.stream(
        1000, [1140, 1160, 1200], sent=ns(1040), headers=ns(1090), first_event=ns(1100), connect_duration=7 * MS
    )

    found = {name: latency.value / MS for name, latency in by_name(made).items()}
    assert found == {
        "ttfb": 90, "ttf_event": 100, "ttft": 140, "ttft_from_sent": 100, "ttfo": 140, "e2el": 200, "tpot": 30,
        "connect": 7,
    }  # fmt: skip


def test_an_interrupted_stream_never_has_a_first_token() -> None:
    """Without a first token the latency is never, over all the time that was waited.

    Of one that this client stopped waiting for, it is known how long that was; one that died has no such time.
    """
    made = Made()
    made.stream(1000, [], "first_token_timeout", ended=11_000)

    found = by_name(made)
    assert found["ttft"] == Latency("ttft", 0, ns(1000), ns(11_000), math.inf, waited=10_000 * MS)
    assert found["e2el"].value == math.inf
    assert "tpot" not in found
    for completion in ("reset", "truncated", "http_error", "connect_failed"):
        dead = Made()
        dead.stream(1000, [], completion, ended=11_000)
        assert by_name(dead)["ttft"] == Latency("ttft", 0, ns(1000), ns(11_000), math.inf)


def test_a_cancelled_stream_is_censored() -> None:
    """Its first token would have come later than the time waited."""
    made = Made()
    made.stream(1000, [], "cancelled", ended=1700)

    assert by_name(made)["ttft"] == Latency("ttft", 0, ns(1000), ns(1700), math.inf, 700 * MS, is_cut=True)


def test_reasoning_alone_has_no_first_output() -> None:
    """A complete answer of reasoning alone has a first token and no first output; an interrupted one never reached
    it."""
    made, dead = Made(), Made()
    made.stream(0, [100, 120], first_output=None)
    dead.stream(0, [100, 120], "reset", first_output=None)

    assert "ttfo" not in by_name(made)
    assert by_name(dead)["ttfo"].value == math.inf


def test_a_connection_that_failed_never_connected() -> None:
    """The step that failed is never; the steps before it have their times."""
    refused, insecure = Made(), Made()
    refused.stream(0, [], "connect_failed", sent=None)
    insecure.stream(0, [], "connect_failed", sent=None, connect_duration=5 * MS)

    assert by_name(refused)["connect"].value == math.inf
    assert by_name(insecure)["connect"].value == 5 * MS
    assert by_name(insecure)["tls"].value == math.inf


def test_a_censored_latency_is_never_only_when_it_is_the_longest() -> None:
    """A cancelled stream that waited longer than every first token counts as never; else its wait alone is known."""
    came, known = [Latency("ttft", 0, 0, 0, 100.0), Latency("ttft", 1, 0, 0, 300.0)], [(0, 100.0), (1, 300.0)]
    short, long = (Latency("ttft", 2, 0, 0, math.inf, waited, is_cut=True) for waited in (250.0, 301.0))

    assert resolve_censored([*came, short]) == (known, Unreached(cut={2: 250.0}))
    assert resolve_censored([*came, long]) == ([*known, (2, math.inf)], Unreached(given_up={2: 301.0}))
    assert resolve_censored([short]) == ([(2, math.inf)], Unreached(given_up={2: 250.0}))
