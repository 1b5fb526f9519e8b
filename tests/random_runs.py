"""Run directories of all kinds of streams, drawn from a seed: what a run may come to, and more."""

from __future__ import annotations

import random
from collections.abc import Iterator

from made_runs import MS, Made, ns, plan
from random_spans import malformed, spans_of, traced

from chaoskit.records.model import (
    TOKENS,
    Completion,
    Event,
    Flag,
    Record,
    Request,
    ServedResponse,
    SocketRead,
    TcpInfo,
    UnackedSample,
    Vitals,
)
from chaoskit.records.spans import ModelState

OBJECTIVES = (
    "ttft_p95 < 800ms during wifi",
    "interruption_rate <= 10%",
    "empty_rate <= 10%",
    "ttft_p95 during wifi < 3x baseline",
    "itl_p99 < 300ms",
    "stall_ratio < 5%",
    "stalls_per_minute < 3",
    "stall_interval_fraction < 1%",
    "max_gap_p95 < 2s",
    "delivered_fraction > 90%",
    "itl_mean < 100ms",
    "goodput > 0.1/s",
    "tokens_per_second > 5",
    "ttfb_p95 < 800ms",
    "tls_p50 < 20ms",
    "toolchain_p95 < 1s",
    "retrieval_fallback_ratio <= 30%",
    "degraded_ratio < 50%",
    "recovers within 5s after wifi",
)
_TIMELINES = (
    "[{baseline: 10s}, {wifi: 10s}, {recovery: 10s}]",
    "[{warm-up: 5s}, {baseline: 10s}, {wifi: 10s}, {baseline: 5s}, {wifi: 5s}]",
    "[{baseline: 10s}, {wifi: 20s}]",
)
_WELL: tuple[Completion, ...] = ("complete",)
_ENDINGS: tuple[Completion, ...] = (*_WELL * 6, "reset", "idle_timeout", "cancelled", "connect_failed")
_SOCKET = {"snd_mss": 1448, "advmss": 1448, "pmtu": 1500, "rcv_mss": 1448}


def random_run(seed: int, streams: int = 12) -> Made:
    """A run with a record of every kind, but for the hops of routers."""
    chance = random.Random(seed)
    objectives = chance.sample(OBJECTIVES, chance.randint(0, 5))
    made = Made(plan(objectives, timeline=_TIMELINES[seed % 3])).phases(settling=chance.choice((0, 3, 200)))
    is_stamped, has_pings = chance.random() < 0.6, chance.random() < 0.5
    timed = [each for n in range(streams) for each in _stream(chance, n, is_stamped, has_pings)]
    timed += [(ns(n * 500), Vitals(ns(n * 500), 1, 1, 1, chance.choice((1000, 5 * MS)), 0)) for n in range(60)]
    made.records += [record for _, record in sorted(timed, key=lambda pair: pair[0])]
    if seed % 2:
        _add_spans(made, random.Random(seed))
        made.records += _queue(random.Random(seed))
    return made.counters("wifi", 900, 100, 10_000, 20_000)


def _add_spans(made: Made, chance: random.Random) -> None:
    """Spans of its requests, some of them malformed."""
    made.records = [traced(each, chance) if isinstance(each, Request) else each for each in made.records]
    for request in [each for each in made.records if isinstance(each, Request)]:
        made.records += malformed([*spans_of(request, chance)], chance)


def _queue(chance: random.Random) -> Iterator[ModelState]:
    """The queue of a model each second, which was started again once."""
    busy = preemptions = 0
    for second in range(chance.randint(0, 30)):
        if second == 13:
            busy = preemptions = 0
        busy, preemptions = busy + chance.randint(0, 1000 * MS), preemptions + chance.choice((0, 0, 5))
        running, waiting, used = (chance.randint(0, most) for most in (50, 9, 1000))
        yield ModelState("model", ns(second * 1000), running, waiting, used, 1000, busy, preemptions, busy // MS)


def _stream(chance: random.Random, number: int, is_stamped: bool, has_pings: bool) -> Iterator[tuple[int, Record]]:
    begin = at = chance.uniform(0, 30_000)
    at += chance.expovariate(1 / 200)
    reads = [SocketRead(number, 0, ns(at - 1), ns(at), ns(at - 2), 300, (Event("meta"),))]
    due, tokens = at - 5, 0
    for _ in range(chance.choice((0, 1, 2, 20, 40))):
        events = []
        for _ in range(chance.choice((1, 1, 1, 2, 5))):
            if has_pings and chance.random() < 0.3:
                events.append(Event("ping"))
            sent = due + (chance.expovariate(1 / 300) if chance.random() < 0.05 else chance.random())
            stamps = (tokens, ns(due), ns(sent)) if is_stamped and chance.random() < 0.97 else ()
            events.append(Event(chance.choice(("content", "media", "reasoning")), *stamps))
            tokens += 1
            due += 700 if chance.random() < 0.03 else 20
        stamp = ns(at) - (600_000 if chance.random() < 0.02 else 0)
        held = 3000 * MS if chance.random() < 0.01 else chance.randrange(3 * MS)
        looked = stamp - round(chance.choice((0, 10, 4000)) * MS)
        size = chance.randint(50, 3000)
        reads.append(SocketRead(number, len(reads), stamp, stamp + held, looked, size, tuple(events)))
        at += chance.expovariate(1 / 30) + (chance.expovariate(1 / 600) if chance.random() < 0.08 else 0)
    completion = chance.choice(_ENDINGS)
    if completion == "complete":
        reads.append(SocketRead(number, len(reads), ns(at), ns(at), ns(at), 40, (Event("finish"), Event("done"))))
    told = [read.at for read in reads if any(event.kind in TOKENS for event in read.events)]
    flag: Flag | None = "empty" if not tokens else "short" if number % 9 == 4 else None
    ended = ns(at + chance.choice((0, 1, 150, 300, 5000)))
    yield from ((read.at, read) for read in reads)
    yield (
        ended,
        Request(
            stream=number,
            scheduled=ns(begin),
            started=ns(begin),
            ended=ended,
            completion=completion,
            sent=ns(begin),
            connect_duration=chance.choice((None, MS)),
            headers=reads[0].at,
            first_event=reads[0].at,
            first_token=told[0] if told else None,
            first_output=told[0] if told else None,
            last_token=told[-1] if told else None,
            tokens=tokens,
            connection=number // 3,
            flag=flag if completion == "complete" else None,
            remarks=("unknown finish reason banana",) if number % 7 == 0 else (),
        ),
    )
    yield from _sockets(chance, number, begin, at, tokens)


def _sockets(chance: random.Random, number: int, begin: float, end: float, tokens: int) -> Iterator[tuple[int, Record]]:
    first = {**_SOCKET, "snd_mss": 1240 if number % 6 == 0 else 1448, "rtt": 1000, "rcv_ooopack": 0}  # some are clamped
    yield ns(begin), TcpInfo(number, "connected", ns(begin), first)
    last = {**_SOCKET, "rcv_ooopack": chance.choice((0, 3)), "last_data_recv": chance.choice((0, 1500)), "rto": 210_000}
    yield ns(end), TcpInfo(number, "end", ns(end), last)
    sent = tokens + chance.choice((0, 2))
    yield ns(end), ServedResponse(number, ns(begin), ns(begin), ns(end), sent, sent, 5, "sent", _SOCKET, _SOCKET)
    for again in range(2, 5) if chance.random() < 0.2 else ():
        outstanding = {"unacked": 3, "sacked": 1, "lost": 2, "retransmits": again, "rto": 200_000 << again}
        counted = {"bytes_sent": 20_000, "bytes_retrans": 1448 * again, "bytes_acked": 10_000, "last_data_sent": 1}
        yield ns(end), UnackedSample(number, ns(end + 200 * 2**again), {**_SOCKET, **outstanding, **counted})
