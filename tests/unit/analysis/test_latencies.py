"""First tokens that came late, never, or were not waited for."""

from __future__ import annotations

import math

from made_runs import Made, ns

from chaoskit.analysis.streams.latencies import Latency, latencies, settle

MS = 1_000_000


def of(made: Made) -> dict[str, Latency]:
    """All latencies of the first stream, by name."""
    return {latency.name: latency for latency in latencies(made.streams().each[0])}


def test_latencies_count_from_the_wish() -> None:
    """A request that was sent 40 ms after it was due has waited those too; from `sent` it has not."""
    made = Made()
    made.stream(1000, [1140, 1160, 1200], sent=ns(1040), first_event=ns(1100), connect_duration=7 * MS)

    found = {name: latency.value / MS for name, latency in of(made).items()}
    assert found == {
        "ttf_event": 100, "ttft": 140, "ttft_from_sent": 100, "ttfo": 140, "e2el": 200, "tpot": 30, "connect": 7,
    }  # fmt: skip


def test_a_dead_stream_never_came() -> None:
    """Without a first token it is never, for all the time that was waited."""
    made = Made()
    made.stream(1000, [], "first_token_timeout", ended=11_000)

    found = of(made)
    assert found["ttft"] == Latency("ttft", 0, ns(1000), ns(11_000), math.inf)
    assert found["e2el"].value == math.inf
    assert "tpot" not in found


def test_a_stream_that_we_cut_off_has_waited_so_long() -> None:
    """Nobody knows when its first token would have come, but later than that."""
    made = Made()
    made.stream(1000, [], "cancelled", ended=1700)

    assert of(made)["ttft"] == Latency("ttft", 0, ns(1000), ns(1700), 700 * MS, is_open=True)


def test_only_reasoning_has_no_output_to_wait_for() -> None:
    """A complete answer of reasoning alone has a first token and no first output; a dead one never came to it."""
    made, dead = Made(), Made()
    made.stream(0, [100, 120], first_output=None)
    dead.stream(0, [100, 120], "reset", first_output=None)

    assert "ttfo" not in of(made)
    assert of(dead)["ttfo"].value == math.inf


def test_a_connection_that_failed_never_connected() -> None:
    """The step that failed is never; what came before it has its time."""
    refused, insecure = Made(), Made()
    refused.stream(0, [], "connect_failed", sent=None)
    insecure.stream(0, [], "connect_failed", sent=None, connect_duration=5 * MS)

    assert of(refused)["connect"].value == math.inf
    assert of(insecure)["connect"].value == 5 * MS
    assert of(insecure)["tls"].value == math.inf


def test_a_wait_that_we_ended_ourselves_is_never_only_when_it_outlasted_all() -> None:
    """A cancelled stream that had waited longer than every first token that came never came; else it tells nothing."""
    came = [Latency("ttft", 0, 0, 0, 100.0), Latency("ttft", 1, 0, 0, 300.0)]
    short, long = Latency("ttft", 2, 0, 0, 250.0, is_open=True), Latency("ttft", 3, 0, 0, 301.0, is_open=True)

    assert settle([*came, short]) == [(0, 100.0), (1, 300.0)]
    assert settle([*came, long]) == [(0, 100.0), (1, 300.0), (3, math.inf)]
    assert settle([short]) == [(2, math.inf)]
