"""What can be told before a run of objectives for classes, of hops, and of recovery."""

from __future__ import annotations

from typing import Any

import pytest
from decidable_files import ENDPOINT, LAB, advice, applied, warned

from chaoskit.planning.decidability import probe_warnings
from chaoskit.spec.objectives import parse
from chaoskit.spec.workload import Workload
from chaoskit.units import Duration, Frequency

CLASSES = LAB | {
    "classes": {"premium": {"share": "20%", "priority": 1}, "batch": {"share": "80%", "priority": 0}},
    "timeline": [{"baseline": "30s"}, {"wifi": "40s"}, {"recovery": "60s"}],
}
DEMAND: dict[str, Any] = CLASSES | {
    "workload": LAB["workload"] | {"demand": {"support": "50%", "nightly": {"share": "50%", "class": "batch"}}}
}


def test_the_sample_is_the_share_of_the_class() -> None:
    """Of about 80 streams 16 are premium's: too few for a p95; those of batch would do for a p90."""
    (told,) = warned(CLASSES, "ttft_p95 < 800ms during wifi for premium")

    assert told.startswith(
        "ttft_p95 < 800ms during wifi for premium: needs 72 streams to be met, gets about 16 in wifi"
    )
    assert "ttft_p50 < 800ms during wifi for premium" in advice(told)
    assert warned(CLASSES, "ttft_p90 < 800ms during wifi for batch") == ()
    for one in advice(told):
        assert warned(applied(CLASSES, one, "ttft_p95 < 800ms during wifi for premium")) == ()


@pytest.mark.parametrize(("clauses", "streams"), [("of support", 40), ("for premium", 8), ("for batch of support", 32)])
def test_a_workflow_may_have_a_class_of_its_own(clauses: str, streams: int) -> None:
    """Half of the requests are support's, of which a fifth are premium; all of nightly's are batch."""
    (told,) = warned(DEMAND, f"ttft_p99 < 800ms during wifi {clauses}")

    assert f"gets about {streams} in wifi" in told


@pytest.mark.parametrize(
    ("sentence", "timeline", "told"),
    [
        ("recovers within 30s after wifi", None, ""),
        ("recovers within 30s after baseline", None, "baseline has neither a fault nor a surge; write after wifi"),
        ("recovers within 30s after wifi", [{"baseline": "30s"}, {"wifi": "9s"}], "write - recovery: 60s after it"),
        ("recovers within 30s after wifi", [{"wifi": "9s"}, {"recovery": "60s"}], "write - baseline: 30s before it"),
        (
            "recovers within 30s after wifi", [{"baseline": "5s"}, {"wifi": "9s"}, {"recovery": "60s"}],
            "needs 20 streams before wifi, gets about 10 streams in baseline; write baseline: 10s",
        ),
        (
            "recovers within 30s after wifi", [{"baseline": "30s"}, {"wifi": "9s"}, {"recovery": "20s"}],
            "can never be broken, for only 20s follow wifi; give them more than 30s",
        ),
        (
            "recovers within 4s after wifi",
            [{"baseline": "30s"}, {"wifi": "9s"}, {"baseline": "5s"}, {"wifi": "9s"}, {"recovery": "60s"}], "",
        ),
        (
            "recovers within 9s after rush",
            [{"baseline": "30s"}, {"rush": {"for": "9s", "demand": "5x"}}, {"recovery": "20s"}], "",
        ),
        ("recovery_time < 30s", [{"baseline": "30s"}, {"recovery": "20s"}], "no phase has a fault or a surge"),
    ],
)  # fmt: skip
def test_recovery_needs_a_level_and_a_look(sentence: str, timeline: Any, told: str) -> None:
    """A clean phase before with 20 streams, and a clean time after that is longer than the bound."""
    file = CLASSES | ({"timeline": timeline} if timeline else {})

    found = warned(file, sentence)

    assert len(found) == bool(told)
    assert all(told in each for each in found)


@pytest.mark.parametrize("sentence", ["toolchain_p50 < 4s", "retrieval_fallback_ratio <= 50%", "queued_rate < 50%"])
def test_hops_need_somebody_who_records_them(sentence: str) -> None:
    """The edge lab has none; an endpoint exports spans where it is told to; a probe has an option."""
    workload = Workload(request_rate=Frequency.parse("2/s"))
    of_probe = probe_warnings([parse(sentence)], workload, "http://127.0.0.1", 400, Duration.parse("900s"))

    assert "this lab has one server and no hops" in warned(LAB, sentence)[0]
    assert "write telemetry: {} in the file" in warned(ENDPOINT, sentence)[0]
    assert "give --telemetry" in of_probe[0]
    assert "telemetry" not in "".join(warned(ENDPOINT | {"telemetry": {}}, sentence))
