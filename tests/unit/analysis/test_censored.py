"""Percentiles of times that are only known to be longer than what was waited: exact, or bounded, never better."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_runs import Made, plan

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.result import ObjectiveResult, Result
from chaoskit.analysis.statistics import estimators
from chaoskit.analysis.statistics.censored import CensoredTimes
from chaoskit.analysis.statistics.quantiles import PERCENTS, summarize
from chaoskit.analysis.streams.latencies import Unreached
from chaoskit.report.vllm_keys import as_json
from chaoskit.spec.workload import Workload

TIMES = st.lists(st.integers(1, 10**6), min_size=2, max_size=60)


def of(reached: list[float], given_up: list[float] = [], cut: list[float] = [], dead: int = 0) -> CensoredTimes:  # noqa: B006
    """Streams that are numbered in this order: reached, given up, dead, cut off by the end of the run."""
    values = [*reached, *[math.inf] * (len(given_up) + dead)]
    first, after = len(reached), len(values)
    return CensoredTimes(
        enumerate(values),
        Unreached(dict(enumerate(given_up, first)), dict(enumerate(cut, after))),
    )


@given(TIMES, st.integers(0, 20))
def test_without_a_cut_one_they_are_those_of_nearest_rank(values: list[int], never: int) -> None:
    """Streams that died or were given up count as longer than all others, as they always did."""
    reached = [float(value) for value in values]
    found = of(reached, given_up=[1e7] * never, dead=never)
    known = summarize([*reached, *[math.inf] * 2 * never], "")

    assert [found.percentile(percent) / 1e6 for percent in PERCENTS] == [
        known.p50_ms, known.p90_ms, known.p95_ms, known.p99_ms,
    ]  # fmt: skip


@given(TIMES, TIMES)
def test_those_that_are_cut_off_raise_a_percentile(reached: list[int], cut: list[int]) -> None:
    """Leaving them out would be at most as long, taking them for never at least: the value lies between."""
    known = [float(value) for value in reached]
    early = [float(value) for value in cut if value <= max(known)]

    for percent in PERCENTS:
        found = of(known, cut=early).percentile(percent)
        assert of(known).percentile(percent) <= found <= of(known, dead=len(early)).percentile(percent)


def test_they_weigh_as_kaplan_and_meier_have_it() -> None:
    """Freireich's leukaemia data, 6-MP: the median is 23 weeks, the lower quartile 13 (Kalbfleisch and Prentice)."""
    reached = [6.0, 6, 6, 7, 10, 13, 16, 22, 23]
    censored = [6.0, 9, 10, 11, 17, 19, 20]  # 25, 32, 32, 34 and 35 outlast all that are known
    found = of(reached, given_up=[25.0, 32, 32, 34, 35], cut=censored)

    assert (found.percentile(50), found.percentile(25)) == (23, 13)
    assert found.percentile(75) == math.inf


@pytest.mark.parametrize("share", [0.1, 0.3])
def test_below_the_censored_share_they_are_exact(share: float) -> None:
    """Where fewer were given up than lie beyond a percentile it is that of the whole sample, else it is a bound."""
    everything = np.random.default_rng(4).lognormal(0, 0.5, 1000)
    patience = float(np.quantile(everything, 1 - share))
    found = of(everything[everything <= patience].tolist(), given_up=[patience] * int((everything > patience).sum()))

    for percent in PERCENTS:
        estimate = estimators.of_times(found, f"p{percent}")
        if percent / 100 <= 1 - share:
            assert estimate.value == np.quantile(everything, percent / 100, method="inverted_cdf")
        else:
            assert (estimate.value, estimate.at_least, estimate.high) == (math.inf, patience, math.inf)
            assert estimate.low <= patience


def test_what_died_has_no_bound() -> None:
    """Of ten given up after 30 s, and ten that died, the p95 is longer than 30 s, and the p99 is never."""
    found = of([1.0] * 180, given_up=[30.0] * 10, dead=10)

    assert (found.at_least("p90"), found.at_least("p95"), found.at_least("p99")) == (None, 30.0, None)
    assert (found.at_least("mean"), of([1.0] * 180, given_up=[30.0] * 20).at_least("mean")) == (None, 3.9)


def given_up(tmp_path: Path, objective: str, ended: str = "first_token_timeout") -> tuple[Result, ObjectiveResult]:
    """A run of 200 streams of which 12 end without a first token, after 30 s."""
    made = Made(plan([objective])).phases().many(0, 9400, 50).vitals(30_000)
    for number in range(12):
        made.stream(9400 + number, completion=ended, ended=39_400 + number)  # type: ignore[arg-type]
    found = analyse(made.write(tmp_path))
    return found, found.objectives[0]


def test_a_result_says_how_long_was_waited(tmp_path: Path) -> None:
    """A percentile that was not reached is longer than the timeout, of so many streams: no number, and no bare null."""
    found, objective = given_up(tmp_path, "ttft_p99 < 2s")
    written = json.loads(found.model_dump_json())["overall"]["ttft"]

    assert objective.verdict == "broken"
    assert objective.reason.startswith("> 30 s over 200 streams, 12 of which ended without")
    assert (written["p99_ms"], written["null_because"]["p99_ms"]) == (None, "never reached within 30 s by 12 of 200")
    assert (written["p90_ms"], written["at_least"]["p99_ms"], written["never"]) == (100.0, 30_000.0, 12)
    probed = json.loads(as_json(found, Workload.model_validate({"max-concurrency": 1})))
    assert probed["null_because"]["first_content_p99_ms"] == "never reached within 30 s by 12 of 200"
    assert Result.model_validate_json(found.model_dump_json()).overall.ttft == found.overall.ttft


def test_a_bound_beyond_the_timeout_is_not_decided(tmp_path: Path) -> None:
    """Streams that were given up after 30 s say nothing of a bound of a minute; those that died break it."""
    _, waited = given_up(tmp_path / "waited", "ttft_p95 < 60s")
    _, died = given_up(tmp_path / "died", "ttft_p95 < 60s", "reset")

    assert (waited.verdict, waited.streams_needed) == ("undecided", None)
    assert waited.reason.endswith("no stream was waited for longer than the bound: raise timeouts")
    assert died.reason.startswith("never over 200 streams, 12 of which ended without")


def test_a_ratio_with_one_that_is_never_reached(tmp_path: Path) -> None:
    """A multiple of the baseline that is never reached, by few streams, is undecided and not an error."""
    made = Made(plan(["ttft_p95 during wifi < 3x baseline"])).phases().many(0, 10_000, 100).vitals(30_000)
    made.many(10_000, 19_000, 100)
    for number in range(6):
        made.stream(19_000 + number, completion="reset", ended=19_500)

    (objective,) = analyse(made.write(tmp_path)).objectives

    assert objective.verdict == "undecided"
    assert "6 of which ended without" in objective.reason


@pytest.mark.parametrize(("silence", "shown"), [(30_000, True), (5, False)])
def test_a_gap_in_which_a_stream_died_is_a_bound(tmp_path: Path, silence: int, shown: bool) -> None:
    """It is as long as was waited, and marked where a percentile or the maximum is that gap."""
    made = Made(plan(["itl_max < 60s", "max_gap_p95 < 60s"])).phases().many(0, 9000, 90).vitals(30_000)
    for number in range(10):
        made.stream(9000 + number, [9100, 9120], "idle_timeout", ended=9120 + silence)

    found = analyse(made.write(tmp_path))

    longest = found.overall.itl
    assert (longest.max_ms, "max_ms" in longest.at_least) == (max(20, silence), shown)
    assert ("p95_ms" in found.overall.max_gap.at_least) == shown
    assert [each.verdict for each in found.objectives] == ["undecided" if shown else "met"] * 2
