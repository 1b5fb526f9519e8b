"""How saturated a model is, from what its metrics say."""

from __future__ import annotations

import pytest

from chaoskit.tiers.saturation import ModelLoad, Telemetry, read_metrics

MS = 10**6
PAGE = """# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} 12.0
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="m"} 3.0
vllm:num_requests_waiting_by_reason{engine="0",reason="capacity"} 77
# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.24
vllm:num_preemptions_total{engine="0"} 5
"""


def test_a_page_of_vllm_is_read() -> None:
    """The three gauges; other names that begin alike are others."""
    assert read_metrics(PAGE) == ModelLoad(12, 3, 0.24)


def test_several_engines_of_a_page_are_one_load() -> None:
    """Requests add up, and the fullest cache counts."""
    second = PAGE.replace('engine="0"', 'engine="1"').replace("0.24", "0.5")

    assert read_metrics(PAGE + second) == ModelLoad(24, 6, 0.5)


@pytest.mark.parametrize(
    "page",
    [
        "",
        "<html>",
        PAGE.replace(" 3.0", " NaN"),
        PAGE.replace(" 3.0", " -1"),
        PAGE.replace("12.0", "x"),
        "vllm:num_requests_waiting 3\n",
    ],
)
def test_what_is_no_load_is_none(page: str) -> None:
    """Nothing is made up of a page that says nothing."""
    assert read_metrics(page) is None


def test_saturation_is_the_mean_over_the_endpoints() -> None:
    """Of max(waiting/5, KV cache/0.8); unknown and stale ones count 1; what is held back is divided among all."""
    telemetry = Telemetry(["one", "two"])
    assert telemetry.saturation(0) == 1.0
    telemetry.observe("one", ModelLoad(5, 2, 0.1), 0)
    assert telemetry.saturation(100 * MS) == pytest.approx((0.4 + 1) / 2)
    assert not telemetry.is_stale(100 * MS)

    telemetry.observe("two", ModelLoad(5, 0, 0.6), 50 * MS)

    assert telemetry.saturation(100 * MS) == pytest.approx((0.4 + 0.75) / 2)
    assert telemetry.saturation(100 * MS, held=10) == pytest.approx((7 / 5 + 1) / 2)
    assert telemetry.saturation(251 * MS) == 1.0
    assert telemetry.is_stale(251 * MS)
    assert telemetry.waiting() == 2
    assert Telemetry([]).saturation(0) == 0.0
