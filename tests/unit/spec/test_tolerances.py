"""A tolerance says how much worse a metric may be, in the unit that the metric has."""

from __future__ import annotations

import pytest

from chaoskit.errors import SpecError
from chaoskit.spec.metrics import METRICS
from chaoskit.spec.tolerances import Margin, Tolerances, tolerances


@pytest.mark.parametrize(
    ("text", "metric", "margin"),
    [
        ("5%", "ttft_p95", Margin("5%", share=0.05)),
        ("12.5 %", "goodput", Margin("12.5 %", share=0.125)),
        ("ttft_p95=10%", "ttft_p95", Margin("10%", share=0.1)),
        ("ttft_p95 = 150%", "ttft_p95", Margin("150%", share=1.5)),
        ("itl_p99=50ms", "itl_p99", Margin("50ms", amount=50e6)),
        ("interruption_rate=1pp", "interruption_rate", Margin("1pp", amount=0.01)),
        ("stalls_per_minute=2/min", "stalls_per_minute", Margin("2/min", amount=2.0)),
        ("goodput=0.5/s", "goodput", Margin("0.5/s", amount=0.5)),
        ("goodput=5%", "goodput", Margin("5%", share=0.05)),
        ("100%", "ttft_p95", Margin("100%", share=1.0)),
        ("500%", "ttft_p95", Margin("500%", share=5.0)),
        ("ttft_p95=1000%", "ttft_p95", Margin("1000%", share=10.0)),
    ],
)
def test_a_tolerance_is_read(text: str, metric: str, margin: Margin) -> None:
    """Shares of the reference, and amounts in the metric's own unit."""
    assert tolerances([text]).of(metric) == margin


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["5"], "write 5%"),
        (["ttft_p95"], "write ttft_p95=10%"),
        (["much"], "write for example 5%"),
        (["ttft=5%"], "did you mean ttft_p95?"),
        (["interruption_rate=1%"], "write interruption_rate=1pp, percentage points"),
        (["stalls_per_minute=5%"], "write stalls_per_minute=2/min"),
        (["stalls_per_minute=5"], "write for example stalls_per_minute=2/min"),
        (["ttft_p95=5"], "has no unit"),
        (["ttft_max=5%"], "take a percentile"),
        (["recovery_time=5s"], "describes one run alone"),
        (["0%"], "can never be shown"),
        (["ttft_p95=0ms"], "can never be shown"),
        (["1001%"], "at most 1000%"),
        (["goodput=100%"], "less than 100%"),
        (["ttft_p95=-10%"], "is below 0; a tolerance is how much worse; write ttft_p95=10%"),
        (["ttft_p95=-50ms"], "write ttft_p95=50ms"),
        (["stall_ratio=-1pp"], "write stall_ratio=1pp"),
        (["ttft_p95=1,5%"], "write for example ttft_p95=10%"),
        (["ttft_p95=ten%"], "write for example ttft_p95=10%"),
        (["ttft_p95=1001%"], "is too much"),
        (["5%", "6%"], "second tolerance of all metrics"),
        (["ttft_p95=5%", "ttft_p95=6%"], "has two tolerances"),
        (["-5%"], "write 5%"),
        (["=5%"], "is not a metric"),
    ],
)
def test_a_mistake_is_told_with_what_to_write(texts: list[str], said: str) -> None:
    """One sentence, after the option's name."""
    with pytest.raises(SpecError) as refused:
        tolerances(texts)

    assert str(refused.value).startswith("--tolerance: ")
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_share_of_nothing_is_no_margin() -> None:
    """What is 0 when all is well takes no share of its reference; its own amount counts."""
    found = tolerances(["5%", "stall_ratio=1pp"])

    assert {metric for metric in METRICS if found.of(metric) is None} >= {"interruption_rate", "stalls_per_minute"}
    assert found.of("stall_ratio") == Margin("1pp", amount=0.01)
    assert Tolerances().of("ttft_p95") is None


def test_nothing_falls_by_more_than_all_of_it() -> None:
    """A tolerance of 100 % or more is of what may grow; of goodput it would allow anything."""
    found = tolerances(["100%"])

    assert {metric for metric in ("goodput", "tokens_per_second") if found.of(metric) is not None} == set()
