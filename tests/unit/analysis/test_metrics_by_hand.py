"""A whole run with every metric computed by hand.

| stream | scheduled | what came of it                                            | charged to             |
|--------|-----------|------------------------------------------------------------|------------------------|
| 0      | 1 s       | tokens at +100 +120 +140 +160 ms                           | baseline               |
| 1      | 2 s       | tokens at +200 +220 +240 +560 ms                           | baseline, one stall    |
| 2      | 9.9 s     | first token at +300 ms, within wifi; 4 tokens              | baseline; TTFT to wifi |
| 3      | 12 s      | tokens at +400 +420 ms, dies 5 s later                     | wifi, a severe stall   |
| 4      | 13 s      | no first token within 10 s: dead at 23 s, within recovery  | wifi                   |
| 5      | 24 s      | tokens at +100 +150 ms, both of them complete              | recovery               |
| 6      | 29 s      | cut off by us at 35 s, without a token                     | recovery, cancelled    |
"""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from made_runs import Made, ns, plan

from chaoskit.analysis.analyse import analyse, analyse_records
from chaoskit.analysis.load import load_records
from chaoskit.analysis.result import Metrics, Result
from chaoskit.analysis.run_spec import RunSpec
from chaoskit.analysis.summaries import LatencySummary
from chaoskit.records.model import Event, SocketRead
from chaoskit.spec.objectives import parse


def made(**options: object) -> Made:
    """The run above."""
    run = Made(plan(**options)).phases()  # type: ignore[arg-type]
    run.stream(1000, [1100, 1120, 1140, 1160])
    run.stream(2000, [2200, 2220, 2240, 2560])
    run.stream(9900, [10_200, 10_220, 10_240, 10_260])
    run.stream(12_000, [12_400, 12_420], "idle_timeout", ended=17_420, detail="silent for 5s")
    run.stream(13_000, [], "first_token_timeout", ended=23_000, detail="no first token within 10s")
    run.stream(24_000, [24_100, 24_150])
    run.stream(29_000, [], "cancelled", ended=35_000)
    return run


@pytest.fixture
def result(tmp_path: Path) -> Result:
    """Its result."""
    return analyse(made().write(tmp_path / "run"))


def phase(result: Result, name: str) -> Metrics:
    """The metrics of a phase."""
    found = result.phase(name)
    return found.metrics


def quantiles(times: LatencySummary) -> tuple[float | None, ...]:
    """p50, p95, the maximum, in ms."""
    return times.p50_ms, times.p95_ms, times.max_ms


def test_streams_are_counted_where_they_ended(result: Result) -> None:
    """Interrupted streams count in the phase of their interruption, all others in that of their start."""
    counts = {p.name: (p.metrics.started, p.metrics.complete, p.metrics.interrupted) for p in result.phases}

    assert counts == {"baseline": (3, 3, 0), "wifi": (2, 0, 2), "recovery": (2, 1, 0)}
    assert phase(result, "recovery").cancelled == 1
    assert (result.overall.started, result.overall.complete, result.overall.interrupted) == (7, 4, 2)
    assert result.overall.completions == {
        "cancelled": 1, "complete": 4, "first_token_timeout": 1, "idle_timeout": 1,
    }  # fmt: skip


def test_an_interruption_belongs_to_its_own_phase(tmp_path: Path) -> None:
    """A stream that became silent under a fault counts for the fault, and one that did after it does not."""
    run = Made(plan()).phases()
    run.stream(9000, [9100, 9200], "idle_timeout", ended=14_200)
    run.stream(19_000, [19_100, 20_500], "reset", ended=21_000)

    result = analyse(run.write(tmp_path / "run"))

    assert {p.name: p.metrics.interrupted for p in result.phases} == {"baseline": 0, "wifi": 1, "recovery": 1}


def test_throughput_is_of_the_phases_own_time(tmp_path: Path) -> None:
    """Tokens that arrive in the drain are in no phase's tokens per second."""
    run = Made(plan()).phases()
    run.stream(29_900, [29_950, 29_990, 30_010, 30_050])

    result = analyse(run.write(tmp_path / "run"))

    assert phase(result, "recovery").tokens_per_second.value == pytest.approx(2 / 10)
    assert phase(result, "recovery").gaps == 3


def test_first_tokens_are_charged_to_the_fault(result: Result) -> None:
    """The late first token of a stream that began in the baseline counts for wifi, and so does one that never
    arrived."""
    assert quantiles(phase(result, "baseline").ttft) == (100, 200, 200)
    assert quantiles(phase(result, "wifi").ttft) == (400, math.inf, math.inf)
    assert phase(result, "wifi").ttft.never == 1
    assert phase(result, "wifi").ttft.count == 3
    assert phase(result, "wifi").ttft.reported_as_max == ("p90", "p95", "p99")


def test_a_cancelled_stream_with_the_longest_wait_is_never(result: Result) -> None:
    """The stream that was cancelled after 6 s counts as never: no other waited as long."""
    assert quantiles(phase(result, "recovery").ttft) == (100, math.inf, math.inf)


def test_gaps_and_stalls(result: Result) -> None:
    """Gaps, streaming time, stalls and their time beyond the threshold, phase by phase."""
    baseline, wifi = phase(result, "baseline"), phase(result, "wifi")

    assert (baseline.gaps, baseline.streaming_ms) == (6, 60 + 360)
    assert (baseline.stalls, baseline.severe_stalls, baseline.stall_time_ms) == (1, 0, 120)
    assert (wifi.gaps, wifi.streaming_ms) == (3 + 2, 60 + 20 + 5000)
    assert (wifi.stalls, wifi.severe_stalls, wifi.stall_time_ms) == (1, 1, 4800)
    assert baseline.stalls_per_minute.value == pytest.approx(60_000 / 420)
    assert baseline.stall_interval_fraction.value == pytest.approx(1 / 6)
    assert quantiles(wifi.itl) == (20, 5000, 5000)
    assert quantiles(wifi.max_gap) == (20, 5000, 5000)


def test_the_stall_ratio_of_a_reader(result: Result) -> None:
    """Of 420 ms of streaming in the baseline a reader at 20 tokens/s waits 210 ms; in wifi for all but 80 ms."""
    # stream 1: read from 2200, 2250, 2300 until 2350; the next token comes at 2560
    assert phase(result, "baseline").stall_ratio.value == pytest.approx(210 / 420)
    # stream 3: read from 12400, 12450 until 12500; dead at 17420
    assert phase(result, "wifi").stall_ratio.value == pytest.approx(4920 / 5080)


def test_rates_of_streams(result: Result) -> None:
    """Interruptions over streams that were not cancelled; goodput and tokens per second of the phase."""
    assert phase(result, "wifi").interruption_rate.value == 1
    assert phase(result, "recovery").interruption_rate.value == 0
    assert result.overall.interruption_rate.value == pytest.approx(2 / 6)
    assert phase(result, "baseline").goodput.value == pytest.approx(2 / 10)
    assert phase(result, "wifi").goodput.value == pytest.approx(1 / 10)  # the third, whose tokens arrive there
    assert phase(result, "baseline").tokens_per_second.value == pytest.approx(8 / 10)
    assert phase(result, "wifi").tokens == 6
    assert phase(result, "wifi").tokens_per_second.value == pytest.approx(6 / 10)


def test_goodput_applies_the_objectives_to_each_request(tmp_path: Path) -> None:
    """A request that misses a bound is not good; an objective for another phase or of a ratio does not apply."""
    asked = ["ttft_p95 < 150ms during baseline", "ttft_p95 < 3x baseline"]

    result = analyse(made(objectives=asked).write(tmp_path / "run"))

    assert phase(result, "baseline").goodput.value == pytest.approx(1 / 10)
    assert phase(result, "recovery").goodput.value == pytest.approx(1 / 10)

    slower = analyse(made(objectives=["e2el_p95 < 150ms during baseline"]).write(tmp_path / "slower"))

    assert phase(slower, "baseline").goodput.value == 0
    assert phase(slower, "recovery").goodput.value == pytest.approx(1 / 10)


def test_delivered_tokens(tmp_path: Path) -> None:
    """Of what the server meant to send, and of the requested number where it never saw the request."""
    run = made()
    run.served(3, tokens=5, sent=5)

    result = analyse(run.write(tmp_path / "run"))

    assert phase(result, "wifi").delivered_fraction.value == pytest.approx(2 / 10)
    assert phase(result, "baseline").delivered_fraction.value == pytest.approx(12 / 15)


def test_coalesced_gaps_are_summarized_separately(tmp_path: Path) -> None:
    """Tokens of one read are gaps of 0 in one summary and left out of the other."""
    run = made()
    number = run.stream(5000, [5100], ended=5200)
    run.records.append(SocketRead(number, 1, ns(5180), ns(5180), ns(5180), 9, (Event("content"), Event("content"))))

    baseline = phase(analyse(run.write(tmp_path / "run")), "baseline")

    assert (baseline.gaps, baseline.coalesced) == (8, 1)
    assert (baseline.itl.count, baseline.itl_uncoalesced.count) == (8, 7)


def test_the_servers_records_attribute_an_interruption(tmp_path: Path) -> None:
    """The server's record shows that it kept sending to the interrupted stream."""
    run = made()
    run.served(3, tokens=5, sent=5)

    wifi = analyse(run.write(tmp_path / "run")).phase("wifi")

    assert (wifi.stall_attribution.network_ms, wifi.stall_attribution.unknown_ms) == (4800, 0)


def test_failures_are_listed_with_their_streams(result: Result) -> None:
    """Each kind of interruption with its detail, its count and its first streams."""
    told = [(f.completion, f.detail, f.count, f.streams) for f in phase(result, "wifi").failures]

    assert told == [
        ("idle_timeout", "silent for 5s", 1, (3,)),
        ("first_token_timeout", "no first token within 10s", 1, (4,)),
    ]


def test_the_buckets_of_a_phase(result: Result) -> None:
    """Buckets hold first tokens at their request's time, stalls where they end, interruptions too, unless that is after
    the phase: then where the stream fell silent."""
    wifi = result.phase("wifi")

    assert result.bucket_s == 0.5
    assert len(wifi.timeline) == 20
    assert {b.at_s: b.ttft_p50_ms for b in wifi.timeline if b.requests} == {0: 300, 2: 400, 3: math.inf}
    assert {b.at_s: b.interrupted for b in wifi.timeline if b.interrupted} == {3: 1, 7: 1}
    assert {b.at_s: b.stalls for b in wifi.timeline if b.stalls} == {7: 1}


def test_rounds_are_pooled_and_warm_up_is_left_out(tmp_path: Path) -> None:
    """Phases of one name count together; the warm-up has its own metrics and is not in the whole run's."""
    course = "[{warm-up: 1s}, {baseline: 1s}, {wifi: 1s}, {baseline: 1s}]"
    run = Made(plan(timeline=course)).phases()
    for at in (100, 1100, 3100):
        run.stream(at, [at + 10, at + 30])

    result = analyse(run.write(tmp_path / "run"))

    assert phase(result, "baseline").started == 2
    assert phase(result, "warm-up").started == 1
    assert result.overall.started == 2
    baseline = result.phase("baseline")
    assert baseline.seconds == pytest.approx(2)
    assert [(r.begin_s, r.end_s) for r in baseline.rounds] == [(1, 2), (3, 4)]


def test_a_probe_without_a_plan_is_one_phase(tmp_path: Path) -> None:
    """Records alone give a result with one phase; its name and objectives are those that are given."""
    run = Made(plan=None, outcome=None)
    for index in range(100):
        run.stream(100 * index, [100 * index + 80, 100 * index + 100])

    folder = run.write(tmp_path / "run")
    result = analyse_records(
        load_records(folder), folder, RunSpec(objectives=(parse("ttft_p95 < 100ms"),), name="mine")
    )

    assert (result.name, [p.name for p in result.phases], result.comparisons) == ("mine", ["run"], ())
    assert phase(result, "run").ttft.p50_ms == 80
    assert phase(result, "run").goodput.value == pytest.approx(100 / 10)
    assert (result.outcome.status, result.outcome.verdict, result.exit_code) == ("finished", "met", 0)


def test_goodput_and_tokens_belong_to_the_phase_of_their_arrival(tmp_path: Path) -> None:
    """A stream of the baseline whose tokens arrive in wifi, one that ends in the drain: neither rate tells another."""
    run = Made(plan()).phases()
    run.stream(9500, [10_200, 10_220, 10_240])
    run.stream(12_000, [12_100, 12_120])
    run.stream(29_900, [29_980, 30_020])

    result = analyse(run.write(tmp_path / "run"))

    baseline, wifi, recovery = (phase(result, name) for name in ("baseline", "wifi", "recovery"))
    assert [each.started for each in (baseline, wifi, recovery)] == [1, 1, 1]
    assert (baseline.goodput.value, baseline.tokens_per_second.value) == (0, 0)
    assert (wifi.goodput.value, wifi.tokens_per_second.value) == pytest.approx((2 / 10, 5 / 10))
    assert (recovery.goodput.value, recovery.tokens_per_second.value) == pytest.approx((0, 1 / 10))
    assert result.overall.goodput.value == pytest.approx(2 / 30)
    assert result.overall.tokens == 6


def test_failures_of_one_cause_are_one_row(tmp_path: Path) -> None:
    """Whatever they quote, and whichever names with digits they have; another status is another cause."""
    details = [
        ("protocol_error", 'an event that is not JSON: {"id":"chat-1","x'),
        ("protocol_error", 'an event that is not JSON: {"id":"chat-2'),
        ("http_error", "503: request 17a of tenant 4 is too long"),
        ("http_error", "503: request 18b of tenant 5 is too long"),
        ("http_error", "429: slow down"),
        ("reset", "connection reset by peer (ECONNRESET)"),
    ]
    made = Made(plan=None)
    for number, (completion, detail) in enumerate(details):
        made.stream(100 * number, (), completion, detail=detail)  # type: ignore[arg-type]

    (phase,) = analyse(made.write(tmp_path / "run")).phases

    assert [(each.count, each.detail) for each in phase.metrics.failures] == [
        (2, 'an event that is not JSON: {"id":"chat-…'),
        (2, "503: request 1…"),
        (1, "429: slow down"),
        (1, "connection reset by peer (ECONNRESET)"),
    ]


def test_arrivals_are_counted_where_they_were_scheduled(tmp_path: Path) -> None:
    """A stream of the baseline that dies under the fault is charged to the fault, and arrived in the baseline."""
    made = Made(plan()).phases()
    made.many(0, 9000, 1000)
    made.stream(9500, [9600, 9700], "idle_timeout", ended=14_700)

    result = analyse(made.write(tmp_path / "run"))

    counts = {phase.name: (phase.arrivals, phase.metrics.started) for phase in result.phases}
    assert counts == {"baseline": (10, 9), "wifi": (0, 1), "recovery": (0, 0)}
