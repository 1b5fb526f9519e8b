"""The critical path of a request: exact for chains made by hand, and sound for whatever programs record."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_spans import malformed, spans_of, traced

from chaoskit.analysis.chains.critical_path import critical_path
from chaoskit.analysis.chains.places import Front, Place, stays, total_by_place
from chaoskit.analysis.chains.stops import Stopped, stops
from chaoskit.analysis.chains.trees import Trees, build_trees
from chaoskit.records import span_names as names
from chaoskit.records.host_records import HostState
from chaoskit.records.model import Request
from chaoskit.records.spans import Operation, Span

MS = 1_000_000
ASKED = Request(0, 0, 2 * MS, 1000 * MS, "complete", trace="t")


def span(
    name: str,
    parent: str | None,
    begin: int,
    end: int,
    host: str = "gateway",
    operation: Operation = "other",
    **more: object,
) -> Span:
    """A span in milliseconds."""
    attributes = {getattr(names, key): value for key, value in more.items()}
    return Span("t", name, parent, host, name, operation, begin * MS, end * MS, None, attributes)  # type: ignore[arg-type]


def path(end: int, *spans: Span) -> list[tuple[str, int, int]]:
    """The parts of the path to `end`: the name of the span, its stretch in milliseconds."""
    found = build_trees([ASKED], spans).of_request[0]
    return [
        (part.node.span.name if part.node.span else "request", part.begin // MS, part.end // MS)
        for part in critical_path(found, end * MS)
    ]


def places(
    end: int, *spans: Span, asked: Request = ASKED, front: Front | None = None, states: Sequence[HostState] = ()
) -> dict[str, int]:
    """Where the path was spent, in milliseconds."""
    found = build_trees([asked], spans).of_request[0]
    sums = total_by_place(stays(critical_path(found, end * MS), asked, front, stops(states)))
    assert sum(sums.values()) == end * MS
    return {place.sentence: length // MS for place, length in sums.items()}


def test_one_after_the_other() -> None:
    """Each stretch is in the child that was waited for, else in the span itself."""
    chain = (span("w", "x", 10, 900), span("a", "w", 20, 100), span("b", "w", 100, 400), span("c", "w", 420, 880))

    assert path(880, *chain, span("b1", "b", 110, 300, "vectors")) == [
        ("request", 0, 10), ("w", 10, 20), ("a", 20, 100), ("b", 100, 110), ("b1", 110, 300), ("b", 300, 400),
        ("w", 400, 420), ("c", 420, 880),
    ]  # fmt: skip


def test_of_parallel_calls_the_slowest_counts() -> None:
    """Two shards beside each other: the path goes through the one that answered last, to where that one began."""
    shards = (span("w", "x", 10, 100), span("a", "w", 12, 60), span("b", "w", 20, 90))

    assert path(100, *shards) == [("request", 0, 10), ("w", 10, 20), ("b", 20, 90), ("w", 90, 100)]


def test_the_winner_of_a_hedge_counts() -> None:
    """Both attempts end together, the loser as cancelled."""
    hedge = (span("w", "x", 10, 100), span("first", "w", 10, 100), span("second", "w", 60, 100))
    lost = Span(**{name: getattr(hedge[1], name) for name in Span.__slots__} | {"error": "cancelled"})

    assert path(100, hedge[0], lost, hedge[2])[1:] == [("w", 10, 60), ("second", 60, 100)]


def test_a_span_that_is_open_is_cut() -> None:
    """At the first token the model goes on; the path ends there."""
    assert path(50, span("w", "x", 10, 900), span("m", "w", 20, 890)) == [
        ("request", 0, 10), ("w", 10, 20), ("m", 20, 50),
    ]  # fmt: skip


def test_a_hop_without_its_server_is_the_network() -> None:
    """150 ms of a retrieval of 250 ms are on the link; the client's own 2 ms are its own."""
    chain = (
        span("w", "x", 10, 400, operation="workflow"),
        span("hop", "w", 10, 260, operation="retrieval"),
        span("try", "hop", 10, 260, operation="retrieval", ATTEMPT=1, SERVER_ADDRESS="10.4.0.1"),
        span("served", "try", 85, 185, "vectors", "retrieval"),
    )

    assert places(260, *chain) == {
        "waiting in the client": 2, "network client–gateway": 8, "network gateway–vectors": 150, "vectors": 100,
    }  # fmt: skip


def test_handshakes_are_apart_from_the_way() -> None:
    """A delay of 70 ms from the gateway to the client: 70 ms of a handshake, 70 ms of the answer; each is told once."""
    asked = replace(ASKED, dns_duration=1 * MS, connect_duration=70 * MS, tls_duration=9 * MS, queue_duration=3 * MS)
    chain = (
        span("w", "x", 85, 185, operation="workflow"),
        span("hop", "w", 85, 185, operation="retrieval"),
        span("try", "hop", 85, 185, operation="retrieval", ATTEMPT=1, SERVER_ADDRESS="vectors", CONNECT=30 * MS),
        span("served", "try", 120, 150, "vectors", "retrieval"),
    )

    assert places(255, *chain, asked=asked) == {
        "waiting in the client": 2 + 3, "connecting client–gateway": 80, "network client–gateway": 70,
        "connecting gateway–vectors": 30, "network gateway–vectors": 5 + 35, "vectors": 30,
    }  # fmt: skip


def test_whoever_the_client_asked_is_told_where_another_one_recorded_spans() -> None:
    """Behind a proxy without spans the way to the model is not the client's own link."""
    asked = replace(ASKED, connect_duration=5 * MS)
    served = span("m", "x", 30, 90, "model", "model")

    of_a_proxy = places(100, served, asked=asked, front=Front("proxy", ("proxy-1", "proxy-2")))
    of_itself = places(100, served, asked=asked, front=Front("model", ("model",)))

    assert of_a_proxy == {
        "waiting in the client": 2, "connecting client–proxy": 5, "downstream proxy": 33, "model": 60,
    }  # fmt: skip
    assert of_itself == {
        "waiting in the client": 2, "connecting client–model": 5, "network client–model": 33, "model": 60,
    }  # fmt: skip


def test_a_host_that_recorded_nothing_is_downstream() -> None:
    """A black hole: nobody can tell the link from the host."""
    chain = (
        span("w", "x", 10, 400, operation="workflow"),
        span("hop", "w", 10, 260, operation="retrieval"),
        span("one", "hop", 10, 110, operation="retrieval", ATTEMPT=1, SERVER_ADDRESS="vectors"),
        span("two", "hop", 160, 260, operation="retrieval", ATTEMPT=2, SERVER_ADDRESS="vectors"),
    )

    found = places(260, *chain)

    assert (found["downstream vectors"], found["gateway between attempts"]) == (200, 50)


def test_own_time_is_told_by_what_it_was_for() -> None:
    """A program that does all itself, and tells of each step: not everything is `gateway`."""
    chain = (
        span("w", "x", 10, 400, operation="workflow"),
        span("search", "w", 20, 120, operation="retrieval"),
        span("parse", "search", 100, 110),
        span("chat", "w", 120, 380, operation="model"),
        span("served", "chat", 130, 370, "model", "model"),
    )

    assert places(400, *chain) == {
        "waiting in the client": 2, "network client–gateway": 8, "gateway": 30 + 10, "gateway retrieval": 90,
        "network gateway–model": 20, "model": 240,
    }  # fmt: skip


def given_up(begin: int, end: int) -> tuple[Span, ...]:
    """A call of `primary` that ended after 250 ms, and the model's own span, wherever that is."""
    return (
        span("w", "x", 10, 400, operation="workflow"),
        span("hop", "w", 10, 260, operation="model"),
        span("try", "hop", 10, 260, operation="model", ATTEMPT=1, SERVER_ADDRESS="primary"),
        span("served", "try", begin, end, "primary", "model"),
    )


def test_a_call_that_ended_before_its_answer_began_is_not_the_networks() -> None:
    """A program that takes the request after its caller gave it up: what it did until then nobody recorded."""
    assert places(260, *given_up(700, 800)) == {
        "waiting in the client": 2, "network client–gateway": 8, "downstream primary": 250,
    }  # fmt: skip


@pytest.mark.parametrize("state", ["paused", "killed", "refusing", "ended"])
def test_a_program_that_was_stopped_is_named(state: Stopped) -> None:
    """For as long as that was recorded; what else there is remains what it was."""
    before, after = HostState("primary", 0, "ready"), HostState("primary", 700 * MS, "ready")

    assert places(260, *given_up(710, 800), states=(before, HostState("primary", 60 * MS, state), after)) == {
        "waiting in the client": 2, "network client–gateway": 8, "downstream primary": 50, f"primary {state}": 200,
    }  # fmt: skip


def test_a_program_that_goes_on_in_time_was_paused_before() -> None:
    """Its call waits 100 ms for it, and 30 ms for the network; the 20 ms that it is paused later are no computing."""
    paused = [HostState("primary", at * MS, "paused") for at in (0, 200)]
    running = [HostState("primary", at * MS, "running") for at in (110, 220)]

    assert places(260, *given_up(140, 260), states=[*paused, *running]) == {
        "waiting in the client": 2, "network client–gateway": 8, "primary paused": 120, "network gateway–primary": 30,
        "primary": 100,
    }  # fmt: skip


def test_the_host_that_the_client_asks_may_be_stopped_itself() -> None:
    """No span of it at all, or one when it goes on: a killed one is stopped until it is ready again."""
    ready = [HostState("gateway", at * MS, "ready") for at in (0, 152)]
    killed, running = HostState("gateway", 52 * MS, "killed"), HostState("gateway", 100 * MS, "running")
    late = span("w", "x", 160, 260, operation="workflow")

    assert places(260, late, states=[*ready, killed, running], front=Front("gateway", ("gateway",))) == {
        "waiting in the client": 2, "network client–gateway": 58, "gateway killed": 100, "gateway": 100,
    }  # fmt: skip


def test_a_model_is_split_by_what_it_tells() -> None:
    """Queue, prefill, what other prompts took of it, preemption; the rest is decoding."""
    told = {
        "MODEL_QUEUE": 30 * MS, "MODEL_PREFILL": 40 * MS, "MODEL_PREFILL_INTERFERENCE": 25 * MS,
        "MODEL_PREEMPTED": 100 * MS, "MODEL_INTERFERENCE": 7 * MS,
    }  # fmt: skip
    chain = (
        span("w", "x", 10, 610, operation="workflow", ADMISSION_QUEUE=90 * MS),
        span("m", "w", 110, 610, "model", "model", **told),
    )

    assert places(610, *chain) == {
        "waiting in the client": 2, "network client–gateway": 8, "gateway queued": 90, "gateway": 10,
        "model queued": 30, "model prefill": 15, "model prefill-interference": 32, "model preempted": 100,
        "model decode": 323,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("spans", "counted"),
    [
        ([span("a", "x", 10, 20), span("a", "x", 10, 900)], {"duplicates": 1}),
        ([span("a", "x", 10, 20), span("b", "gone", 30, 40)], {"without_parent": 1}),
        ([span("a", "b", 10, 20), span("b", "a", 15, 18)], {"in_circles": 1}),
        ([span("a", "a", 10, 20)], {"in_circles": 1}),
        ([span("a", "x", 20, 10)], {"negative": 1}),
        ([span("a", "x", 10, 20), Span("other", "b", None, "h", "b", "tool", 1, 2)], {"of_no_request": 1}),
    ],
)
def test_what_is_malformed_is_counted_and_placed_once(spans: list[Span], counted: dict[str, int]) -> None:
    """And the path still adds up."""
    found = build_trees([ASKED], spans)

    assert {name: count for name, count in vars(found.malformed).items() if count} == counted
    _check(found, ASKED)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32))
def test_whatever_is_recorded_the_path_adds_up(seed: int) -> None:
    """Circles, duplicates, lost parents, foreign clocks: a span stands in one place at the most, no part overlaps."""
    chance = random.Random(seed)
    asked = traced(Request(3, 10**15, 10**15 + 5, 10**15 + 10**9, "complete"), chance)
    spans = [*malformed([*spans_of(asked, chance)], chance)]

    found = build_trees([asked], spans)

    _check(found, asked)
    assert sum(1 for _ in found.of_request[3].walk()) - 1 == len(
        {each.span for each in spans if each.trace == asked.trace}
    )


def _check(found: Trees, asked: Request) -> None:
    root = found.of_request[asked.stream]
    nodes = [node.span.span for node in root.walk() if node.span]
    assert len(nodes) == len(set(nodes))
    for end in (asked.scheduled, asked.ended, asked.ended + 10**6):
        parts = critical_path(root, end)
        stamps = [asked.scheduled, *(part.end for part in parts)]
        assert [part.begin for part in parts] == stamps[:-1]
        assert stamps[-1] == end
        assert sum(length for _, length in stays(parts, asked)) == end - asked.scheduled
        assert all(length > 0 for _, length in stays(parts, asked))


def test_a_very_long_chain_of_parents_is_no_trouble() -> None:
    """A program may record a hundred thousand spans, each within the one before."""
    spans = [span(str(n), str(n - 1), 10, 900) for n in range(100_000)]
    root = build_trees([ASKED], spans).of_request[0]

    assert [part.length // MS for part in critical_path(root, 900 * MS)] == [10, 890]


def test_a_place_has_a_sentence() -> None:
    """For people, as short as it can be."""
    assert Place("vectors", "network", ("gateway", "vectors")).sentence == "network gateway–vectors"
    assert Place("model", "queued").sentence == "model queued"
    assert Place("guard", "own time").sentence == "guard"
