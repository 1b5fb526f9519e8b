"""Streams of one connection are not independent of one another: intervals are of groups of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_runs import MS, Made, ns, plan

from chaoskit import intervals
from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.statistics.censored import CensoredTimes
from chaoskit.analysis.statistics.ecdf import Ecdf, of_times
from chaoskit.analysis.statistics.estimators import Estimate
from chaoskit.analysis.statistics.sampling import Sampling
from chaoskit.analysis.streams.connection_groups import Groups, groups
from chaoskit.analysis.streams.latencies import Unreached
from chaoskit.analysis.tables.distribution_samples import first_tokens, gaps
from chaoskit.analysis.tables.run_tables import load_tables
from chaoskit.records.model import Request

GROUPS, EACH = 25, 8
STREAMS = list(range(GROUPS * EACH))
OF = np.repeat(np.arange(GROUPS), EACH)
TOGETHER = Groups(dict(zip(STREAMS, (OF * EACH).tolist(), strict=True)))
Draw = Callable[[np.random.Generator, Sampling], Estimate]


def request(stream: int, started: float, ended: float, connection: int | None = 0, http: str = "HTTP/2") -> Request:
    """Times in ms."""
    begin = ns(started)
    return Request(stream, begin, begin, ns(ended), "complete", connection=connection, http=http)


def test_a_group_is_a_connection_from_one_silence_to_the_next() -> None:
    """Streams that overlap are together, through others as well; the rest is alone."""
    found = groups(
        [
            request(4, 20, 60),  # overlaps the first and the third
            request(3, 0, 30),
            request(5, 50, 90),
            request(6, 90, 100),  # begins as the connection falls silent
            request(7, 20, 60, connection=1),
            request(8, 0, 30, connection=2, http="HTTP/1.1"),
            request(9, 10, 20, connection=2, http="HTTP/1.1"),
            request(10, 0, 90, connection=None),
        ]
    )

    assert found.of == {3: 3, 4: 3, 5: 3}
    assert found.each([3, 5, 6, 7]) == [3, 3, 6, 7]
    assert found.sums([3, 4, 6], [1, 2, 3]) == [3, 3]
    assert found.are_in([6, 5])
    assert not found.are_in([6, 7])


def stalls(random: np.random.Generator, sampling: Sampling) -> Estimate:
    """A lost packet stalls nearly all streams of its connection: 3 a minute of each stream."""
    hits = random.binomial(random.poisson(1 / 0.9, GROUPS)[OF], 0.9)
    return sampling.ratio(STREAMS, hits.tolist(), [1 / 3] * len(STREAMS))


def deaths(random: np.random.Generator, sampling: Sampling) -> Estimate:
    """A connection that is reset ends most of its streams: 0.16 of all."""
    dead = (random.random(GROUPS) < 0.2)[OF] & (random.random(len(STREAMS)) < 0.8)
    return sampling.share(set(np.flatnonzero(dead).tolist()), STREAMS)


def latencies(random: np.random.Generator, sampling: Sampling) -> Estimate:
    """Half of the variance of the logarithm is the connection's."""
    times = np.exp(random.normal(5, 0.5, GROUPS)[OF] + random.normal(0, 0.5, len(STREAMS)))
    return sampling.times(CensoredTimes(enumerate(times.tolist())), "p50")


CASES: dict[str, tuple[Draw, float]] = {
    "stalls": (stalls, 3.0),
    "deaths": (deaths, 0.16),
    "first tokens": (latencies, math.exp(5)),
}


@pytest.mark.parametrize("name", CASES)
def test_what_happens_to_connections_is_covered(name: str) -> None:
    """Of 80 samples the intervals of groups hold the truth in nine of ten at the least; those of streams do not."""
    draw, truth = CASES[name]

    def covered(sampling: Sampling) -> float:
        random = np.random.default_rng(7)
        found = [draw(random, sampling) for _ in range(80)]
        return sum(each.low <= truth <= each.high for each in found) / 80

    assert covered(Sampling(TOGETHER)) >= 0.9
    assert covered(Sampling(Groups())) < 0.85


def test_what_nobody_saw_is_as_likely_as_it_is_for_connections() -> None:
    """Without a stall the upper bound is that of as many independent minutes as there are groups."""
    none = [0] * len(STREAMS)

    together = Sampling(TOGETHER).ratio(STREAMS, none, [0.5] * len(STREAMS))
    alone = Sampling(Groups()).ratio(STREAMS, none, [0.5] * len(STREAMS))

    assert together.high == pytest.approx(EACH * alone.high)
    assert (together.streams, together.groups, alone.groups) == (len(STREAMS), GROUPS, None)


@pytest.mark.parametrize("statistic", ["p50", "mean", "max"])
def test_the_value_is_that_of_the_streams(statistic: str) -> None:
    """Groups widen the interval and change nothing else; times without an end bound it as they do alone."""
    times = CensoredTimes(
        [(stream, float(stream + 1) if stream % 20 else math.inf) for stream in STREAMS],
        Unreached(given_up={stream: 500.0 for stream in STREAMS if stream % 20 == 0}),
    )
    apart = Groups({0: 0, 1: 0})

    found, alone = Sampling(apart).times(times, statistic), Sampling(Groups()).times(times, statistic)

    assert (found.value, found.never, found.at_least) == (alone.value, alone.never, alone.at_least)
    assert found.low <= alone.low * 1.1
    assert found.high >= alone.high * 0.9


def test_streams_of_one_connection_decide_nothing(tmp_path: Path) -> None:
    """They are one observation; the reason says so, and what to do. With a connection each they are met."""
    for folder, number in (("shared", lambda _: 0), ("kept", lambda stream: stream)):
        work = Made(plan(["ttft_p50 < 800ms during baseline", "stalls_per_minute < 20 during baseline"])).phases()
        for stream in range(99):
            work.stream(
                100 * stream, [100 * stream + 100, 100 * stream + 300], connection=number(stream), http="HTTP/2"
            )
        work.write(tmp_path / folder)

    shared, kept = (analyse(tmp_path / folder).objectives for folder in ("shared", "kept"))

    assert [each.verdict for each in shared + kept] == ["undecided", "undecided", "met", "met"]
    assert [each.streams_needed for each in shared] == [None, None]
    assert shared[0].reason.startswith("100 ms over 99 streams in 1 group that shared a connection, 95 %: anything; ")
    assert shared[0].reason.endswith("let it fall silent in between, or use connections: kept")
    assert shared[0].observed.value == kept[0].observed.value


def test_bands_of_plots_are_of_groups_too(tmp_path: Path) -> None:
    """The band of a curve ends at a half where the interval of the median does; a connection each is narrower."""
    late = np.random.default_rng(1).integers(50, 250, 30).tolist()
    for folder, together in (("shared", 4), ("kept", 1)):
        work = Made(plan(["ttft_p50 < 800ms during baseline"])).phases()
        for stream in range(120):
            begin = 300 * (stream // 4)
            first = begin + late[stream // 4] + stream % 4
            tokens = [first, first + late[stream // 4 - 1]]
            work.stream(begin, tokens, connection=stream // together, http="HTTP/2")
        work.write(tmp_path / folder)

    shared, kept = (load_tables(tmp_path / folder) for folder in ("shared", "kept"))
    times, alone = first_tokens(shared, "baseline"), first_tokens(kept, "baseline")
    points = np.sort(times.reached)
    band, of_gaps = of_times(times, points), gaps(shared, "baseline").curve(np.array([120e6]), intervals.TAIL)

    (objective,) = analyse(tmp_path / "shared").objectives
    assert band.low is not None
    assert band.high is not None
    ends = [points[np.argmax(band.high >= 0.5)], points[np.argmax(band.low >= 0.5)]]
    assert ends == pytest.approx([objective.observed.low, objective.observed.high], abs=10)
    assert (len(set(shared.groups.of.values())), kept.groups.of, alone.groups) == (30, {}, None)
    narrow = gaps(kept, "baseline").curve(np.array([120e6]), intervals.TAIL)
    assert of_gaps.share.tolist() == narrow.share.tolist()
    assert width(of_gaps) > 1.5 * width(narrow)


def width(curve: Ecdf) -> float:
    """Of its band at its only point."""
    assert curve.low is not None
    assert curve.high is not None
    return float(curve.high[0] - curve.low[0])


def test_stamps_are_ns() -> None:
    """A stream that begins in the same ns in which another ends does not overlap it."""
    first, second = request(0, 0, 1), request(1, 1, 2)

    assert (first.ended, groups([first, second]).of) == (second.started, {})
    assert groups([first, request(1, 1 - 1 / MS, 2)]).of == {0: 0, 1: 0}
