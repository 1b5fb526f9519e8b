"""Metrics are named once: in objectives, results and reports; names of other tools are answered with them."""

from __future__ import annotations

import pytest

from chaoskit.analysis.chains.chain_results import Requests
from chaoskit.analysis.result import Metrics
from chaoskit.analysis.summaries import IntervalEstimate, LatencySummary
from chaoskit.spec.metrics import HEADLINES, METRICS, TABLE, advice
from chaoskit.spec.objectives import parse


def test_every_number_of_a_result_that_is_one_metric_is_an_objective() -> None:
    """Summaries and estimates of a phase have the names of the table, apart from the gaps of separate reads."""
    fields = {
        name
        for name, field in (Metrics.model_fields | Requests.model_fields).items()
        if field.annotation in (LatencySummary, IntervalEstimate) and name != "itl_uncoalesced"
    }

    assert fields == {metric.name for metric in TABLE}


def test_every_row_of_a_report_is_an_objective() -> None:
    """What stands in the first column, in lower case, is a name or answered with the name."""
    for name, label in HEADLINES.items():
        assert name in METRICS
        assert advice(label) == f"did you mean {name}?"


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("mean_itl_ms", "itl_mean"),
        ("p99_itl_ms", "itl_p99"),
        ("median_tpot_ms", "tpot_p50"),
        ("p95_e2el_ms", "e2el_p95"),
        ("request_throughput", "goodput"),
        ("request_goodput", "goodput"),
        ("output_throughput", "tokens_per_second"),
        ("http_req_duration", "e2el_p95"),
        ("http_req_failed", "interruption_rate"),
        ("http_req_waiting", "ttfb_p95"),
        ("http_req_connecting", "connect_p95"),
        ("http_req_tls_handshaking", "tls_p95"),
        ("http_req_sending", "upload_p95"),
        ("iteration_duration", "e2el_p95"),
        ("time_to_first_token", "ttft_p95"),
        ("inter_token_latency", "itl_p99"),
        ("inter_token_latency_p90", "itl_p90"),
        ("avg_request_latency", "e2el_mean"),
        ("output_token_throughput", "tokens_per_second"),
        ("gen_ai.server.time_to_first_token", "ttft_p95"),
        ("p95(ttft)", "ttft_p95"),
        ("ttft.p95", "ttft_p95"),
        ("http_req_duration{p(95)}", "e2el_p95"),
        ("http_req_duration p(90)", "e2el_p90"),
        ("latencies.95th", "e2el_p95"),
        ("timeout", "interruption_rate"),
        ("rps", "goodput"),
        ("TTFT_P95", "ttft_p95"),
        ("p95_ttft", "ttft_p95"),
        ("ttft-p95", "ttft_p95"),
        ("ttft", "ttft_p95"),
        ("ttft_p95_ms", "ttft_p95"),
        ("stall ratio", "stall_ratio"),
        ("goodputt", "goodput"),
    ],
)
def test_names_of_other_tools_are_answered(theirs: str, ours: str) -> None:
    """A name of vLLM, k6, AIPerf or OpenTelemetry, or one written otherwise, gets the name that is meant."""
    with pytest.raises(ValueError, match="is not a metric") as raised:
        parse(f"{theirs} < 5")

    assert str(raised.value) == f"{theirs!r} is not a metric; did you mean {ours}?"


@pytest.mark.parametrize("statistic", ["mean", "median", "p90", "p99"])
def test_the_first_token_of_vllm_is_told_apart(statistic: str) -> None:
    """vLLM counts the first event of any kind; whoever uses its name learns both names here."""
    name = f"{statistic}_ttft_ms"
    here = {"median": "p50"}.get(statistic, statistic)

    assert advice(name).startswith(f"did you mean ttft_{here}? What vLLM calls so")
    assert f"ttf_event_{here}" in advice(name)


def test_no_name_means_two_metrics() -> None:
    """Neither a name nor an alias stands in two rows."""
    words = [word for metric in TABLE for word in (metric.name, *metric.aliases)]

    assert len(words) == len(set(words))


def test_a_statistic_that_is_not_given_is_answered_with_those_that_are() -> None:
    """And a word that is like no metric with all metrics, each once."""
    assert advice("ttft_p75").startswith("expected one of ttft_p50, ttft_p90")
    assert advice("cheese").endswith("downgrade_rate, recovery_time; a latency with its statistic: ttft_p95")


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("goodput > 2/s", 2),
        ("goodput > 120/min", 2),
        ("goodput > 2", 2),
        ("tokens_per_second >= 0.5", 0.5),
        ("stalls_per_minute < 5", 5),
        ("stalls_per_minute < 5/min", 5),
        ("stalls_per_minute < 0.1/s", 6),
    ],
)
def test_a_rate_has_a_unit_or_none(text: str, bound: float) -> None:
    """A plain number is in the metric's own unit."""
    assert parse(text).bound == bound


@pytest.mark.parametrize("bound", ["nan", "inf", "-1", "1e400", "0/s", "5%"])
def test_a_bound_is_a_number(bound: str) -> None:
    """What is no finite number of 0 or more is refused."""
    with pytest.raises(ValueError, match=r"frequency|unit"):
        parse(f"tokens_per_second > {bound}")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("ttft_p95 = 800ms", "ttft_p95 <= 800ms"),
        ("interruption_rate == 5%", "interruption_rate <= 5%"),
        ("ttft_p95 ≤ 800ms", "ttft_p95 <= 800ms"),
        ("ttft_p95 => 800ms", "ttft_p95 >= 800ms"),
        ("ttft_p95 is below 800ms during wifi", "ttft_p95 < 800ms during wifi"),
        ("ttft_p95 less than 800ms", "ttft_p95 < 800ms"),
        ("p95 ttft under 2 seconds in wifi", "ttft_p95 < 2s during wifi"),
        ("TTFT p95 less than 800 msec during wifi", "ttft_p95 < 800ms during wifi"),
        ("error rate at most 1%", "interruption_rate <= 1%"),
        ("ttft p95 = 3x baseline", "ttft_p95 <= 3x baseline"),
        ("ttft_p95 < 800ms in wifi", "ttft_p95 < 800ms during wifi"),
        ("ttft_p95 < 800 ms on wifi", "ttft_p95 < 800 ms during wifi"),
        ("ttft_p95 < 3x", "ttft_p95 < 3x baseline"),
        ("ttft_p95 during wifi < 3*clean", "ttft_p95 during wifi < 3x clean"),
        ("ttft_p95 during wifi < 3 times baseline", "ttft_p95 during wifi < 3x baseline"),
        ("ttft_p95 during wifi < 150% of baseline", "ttft_p95 during wifi < 1.5x baseline"),
        ("ttft_p95 during wifi < baseline", "ttft_p95 during wifi < 1x baseline"),
    ],
)
def test_another_way_of_saying_it_is_answered_with_ours(written: str, meant: str) -> None:
    """The sentence that is advised is an objective."""
    with pytest.raises(ValueError, match="is not an objective") as raised:
        parse(written)

    assert str(raised.value) == f"{written!r} is not an objective; write {meant}"
    assert parse(meant).text == meant


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("success_rate > 99%", "'success_rate' is not a metric; write its opposite, interruption_rate < 1%"),
        ("availability >= 99.9% during wifi", "write its opposite, interruption_rate <= 0.1% during wifi"),
        ("success_rate > 0.995", "write its opposite, interruption_rate < 0.5%"),
        ("uptime < 99%", "write its opposite, interruption_rate > 1%"),
        ("uptime > 150%", "write its opposite, interruption_rate < 1%"),
        ("p(95) < 800ms", "'p(95)' is not a metric; say of what, for example ttft_p95"),
        ("ttft_p95 < 1s and itl_p99 < 1s", "compares twice; write an objective for each"),
        ("ttft_p95 <=", "has no bound; write for example 'ttft_p95 <= 800ms'"),
    ],
)
def test_what_has_no_single_answer_is_explained(written: str, told: str) -> None:
    """What is wrong, and what to do."""
    with pytest.raises(ValueError) as raised:  # noqa: PT011  the whole sentence is compared
        parse(written)

    assert told in str(raised.value)
