"""What a timeline gives, by hand: by the seed's arrivals, by the server's script, by what is assumed of an endpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chaoskit.planning.compile import compile_plan
from chaoskit.planning.stage import placeholder_lookups
from chaoskit.planning.timetable import Timetable
from chaoskit.spec.arrivals import schedule
from chaoskit.spec.load import parse

BASE: dict[str, Any] = {
    "name": "made-up",
    "question": "How many?",
    "stage": {"lab": "edge"},
    "workload": {"request-rate": "4/s", "burstiness": "0", "output-tokens": "51"},
    "server": {"first-token": {"median": "500ms", "p99": "500ms"}, "token-interval": "20ms"},
    "faults": {"wifi": {"direction": "down", "link": "client-router", "netem": {"delay": "100ms"}}},
    "timeline": [{"warm-up": "5s"}, {"baseline": "10s"}, {"wifi": "20s"}, {"recovery": "5s"}],
}


def table(**changed: Any) -> Timetable:
    """The timetable of the file with these keys."""
    experiment = parse(json.dumps(BASE | changed), "made.yaml")
    return Timetable.of(compile_plan(experiment, placeholder_lookups(experiment)))


def closed(**more: str) -> dict[str, str]:
    """A closed loop of three streams."""
    return {"max-concurrency": "3", "output-tokens": "51"} | more


@pytest.mark.parametrize(
    ("metric", "phase", "streams"),
    [
        ("interruption_rate", "wifi", 80),
        ("interruption_rate", "baseline", 40),
        ("ttft_p95", "wifi", 80),
        ("ttft_p95", "baseline", 38),  # two begin within 500 ms of the fault
        ("e2el_p95", "baseline", 32),  # and eight within two seconds
        ("ttft_p95", "recovery", 20),
        ("ttft_p95", None, 138),  # without the warm-up
    ],
)
def test_an_open_loop_gives_what_it_starts(metric: str, phase: str | None, streams: int) -> None:
    """Regular arrivals, less those of a clean phase that end in the fault after it."""
    assert table().gives(metric, phase).streams == streams


def test_repeats_give_as_much_again() -> None:
    """Each round counts."""
    assert table(repeats="3").gives("ttft_p95", "wifi").streams == 240


def test_arrivals_are_those_of_the_seed() -> None:
    """Poisson arrivals are counted as this seed draws them."""
    found = table(workload={"request-rate": "4/s"}, seed="9")
    starts = schedule(found.workload, 9, 40 * 10**9)

    assert found.gives("interruption_rate", "wifi").streams == sum(15e9 <= start < 35e9 for start in starts)


def test_streaming_is_counted_in_minutes() -> None:
    """Eighty streams of fifty gaps of 20 ms stream for 80 seconds."""
    assert table().gives("stalls_per_minute", "wifi").minutes == pytest.approx(80 / 60)


def test_a_closed_loop_gives_what_fits_by_the_servers_script() -> None:
    """Three at a time, 1.5 s each, and two more round trips of the fault's delay on a fresh connection."""
    found = table(workload=closed())

    assert found.gives("ttft_p95", "recovery").streams == 10
    assert found.gives("ttft_p95", "wifi").streams == int(3 * 20 / 1.7)
    assert table(workload=closed(connections="kept")).gives("ttft_p95", "wifi").streams == int(3 * 20 / 1.6)


def test_a_random_first_token_counts_with_its_mean() -> None:
    """The mean of a log-normal time is above its median."""
    server = {"first-token": {"median": "1s", "p99": "5s"}, "token-interval": "20ms"}
    sigma = 1.6094379 / 2.3263479

    found = table(workload=closed(), server=server)

    assert found.gives("ttft_p95", "recovery").streams == int(3 * 5 / (1 + 2.718281828 ** (sigma**2 / 2)))


def test_an_endpoint_is_assumed_to_be_as_fast_as_people_read() -> None:
    """A second, then 20 tokens/s; 50 tokens/s where a fast one gives less; and this is said."""
    changed = {"stage": {"target": "http://127.0.0.1:8000"}, "faults": {}, "timeline": [{"baseline": "35s"}]}
    base = {key: value for key, value in BASE.items() if key != "server"} | changed | {"workload": closed()}
    experiment = parse(json.dumps(base), "made.yaml")

    found = Timetable.of(compile_plan(experiment, placeholder_lookups(experiment)))

    assert found.gives("ttft_p95", "baseline").streams == 30
    assert found.gives("stalls_per_minute", "baseline").minutes == pytest.approx(3 * 35 / 2 / 60)
    assert found.assumption("ttft_p95") == "at 20 tokens/s"
    assert found.assumption("stalls_per_minute") == "at 50 tokens/s"
    assert table().assumption("ttft_p95") == ""


def test_handshakes_are_as_many_as_connections() -> None:
    """Kept connections are as many as streams at a time, a shared one is one."""
    kept = table(workload=closed(connections="kept"))
    open_loop = table(workload={"request-rate": "4/s", "burstiness": "0", "connections": "kept", "output-tokens": "51"})
    shared = table(workload=closed(connections="shared", http="2"))

    assert kept.gives("connect_p50", "wifi").streams == 3
    assert open_loop.gives("connect_p50", "wifi").streams == 6
    assert shared.gives("tls_p50", "wifi").streams == 1


def test_a_single_token_has_no_gap() -> None:
    """Then nothing is known of gaps, and all of first tokens."""
    found = table(workload={"request-rate": "4/s", "burstiness": "0", "output-tokens": "1"})

    assert found.gives("itl_p99", "wifi").streams == found.gives("stall_ratio", "wifi").streams == 0
    assert found.gives("ttft_p95", "wifi").streams == 80


def test_very_many_phases_are_counted_by_their_rate() -> None:
    """A thousand rounds give a thousand times as much, to within a few of what they would give one by one."""
    phases = [{"baseline": "10s"}, {"wifi": "20s"}]
    many, one = table(timeline=phases, repeats="1000"), table(timeline=phases, repeats="400")

    assert many.gives("ttft_p95", "wifi").streams == 80_000
    assert many.gives("ttft_p95", "baseline").streams == pytest.approx(1000 * 38, rel=0.01)
    assert one.gives("ttft_p95", "baseline").streams == pytest.approx(400 * 38, rel=0.01)


def test_a_surge_gives_as_many_times_more() -> None:
    """Of what it multiplies, counted one by one; a whole run has both."""
    spans = [{"baseline": "10s"}, {"surge": {"for": "10s", "demand": "3x"}}, {"recovery": "10s"}]
    surged = table(timeline=spans)

    assert surged.gives("interruption_rate", "surge").streams == 120
    assert surged.gives("interruption_rate", "baseline").streams == 40
    assert surged.started == 200
    assert surged.most_per_second("goodput") == 12


def test_a_long_surge_is_estimated() -> None:
    """Where there are too many streams to count them, by the mean of the arrivals."""
    spans = [{"baseline": "2h"}, {"surge": {"for": "1h", "demand": "3x"}}]

    assert table(timeline=spans).gives("interruption_rate", "surge").streams == 3 * 4 * 3600


def test_a_trace_gives_its_rows(tmp_path: Path) -> None:
    """As many as it has in a phase, at its speed."""
    path = tmp_path / "trace.csv"
    rows = "".join(f"{second},100,{10 + second % 2}\n" for second in range(100))
    path.write_text(f"seconds,input_tokens,output_tokens\n{rows}")
    replayed = table(
        workload={"trace": {"file": str(path), "speed": "5x"}}, timeline=[{"baseline": "10s"}, {"wifi": "20s"}]
    )

    assert replayed.gives("interruption_rate", "baseline").streams == 50
    assert replayed.started == 100
