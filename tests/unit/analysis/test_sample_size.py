"""The sizes that are told before a run are those by which the analysis decides: undecided below, decided from there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_runs import Made, plan

from chaoskit.analysis.objectives import evaluate
from chaoskit.analysis.result import ObjectiveResult
from chaoskit.analysis.statistics.estimates import Estimates
from chaoskit.analysis.streams.phase_samples import phase_samples
from chaoskit.analysis.streams.timeline import build_timeline
from chaoskit.records.model import Completion, Phase
from chaoskit.spec.metrics import METRICS
from chaoskit.spec.objectives import parse
from chaoskit.spec.sample_size import SampleSize, sample_sizes

TOKEN_GAP = 20.0
LENGTH = 3e8  # ms of each phase


@dataclass(frozen=True)
class Stream:
    """How every stream of a phase is: its first token, its gaps in ms, and whether it ends well."""

    first: float = 100.0
    gap: float = TOKEN_GAP
    tokens: int = 5
    completion: Completion = "complete"


def judged(text: str, intended: int = 5, **phases: tuple[int, Stream]) -> ObjectiveResult:
    """The verdict on this objective where each phase has so many streams, all alike."""
    made = Made(plan(timeline="[{baseline: 300000s}, {wifi: 300000s}]")).phases()
    for number, name in enumerate(("baseline", "wifi")):
        count, stream = phases.get(name, (0, Stream()))
        for index in range(count):
            at = number * LENGTH + 100_000 + index * 10_000
            tokens = [at + stream.first + stream.gap * token for token in range(stream.tokens)]
            made.stream(at, tokens, stream.completion, ended=tokens[-1] if tokens else at + 1000)
    spans = build_timeline([record for record in made.records if isinstance(record, Phase)], 10**18)
    samples = phase_samples(made.streams(), spans)
    numbers = dict.fromkeys(range(made.count), intended)
    return evaluate(parse(text), samples, Estimates(frozenset(), numbers), ())


WELL, LATE, DEAD, CHOPPY = Stream(), Stream(first=9000), Stream(tokens=0, completion="reset"), Stream(gap=900)
SHORT = Stream(tokens=2)
CASES = {
    **{
        f"{name}_{quantile} < 1s": (WELL, LATE)
        for name in ("ttft", "e2el")
        for quantile in ("p50", "p90", "p95", "p99")
    },
    **{f"ttft_{quantile} > 1s": (LATE, WELL) for quantile in ("p50", "p95", "p99")},
    "ttft_mean <= 1s": (WELL, LATE),
    "ttft_max < 1s": (WELL, LATE),
    "max_gap_p95 < 500ms": (WELL, CHOPPY),
    "tpot_p90 <= 30ms": (WELL, CHOPPY),
    "itl_p50 < 30ms": (WELL, CHOPPY),
    "itl_max < 30ms": (WELL, CHOPPY),
    "itl_mean < 30ms": (WELL, CHOPPY),
    **{f"interruption_rate <= {share}": (WELL, DEAD) for share in ("1%", "2.5%", "5%", "20%", "50%", "90%")},
    "interruption_rate < 5%": (WELL, DEAD),
    "interruption_rate > 5%": (DEAD, WELL),
    **{f"stall_ratio <= {share}": (WELL, CHOPPY) for share in ("2%", "5%", "30%")},
    "stall_interval_fraction < 3%": (WELL, CHOPPY),
    **{f"delivered_fraction >= {share}": (WELL, SHORT) for share in ("99%", "95%", "70%")},
}
RATIOS = {
    **{f"ttft_{quantile} during wifi < 3x baseline": (WELL, LATE) for quantile in ("p50", "p90", "p95", "p99")},
    "ttft_p95 during wifi > 3x baseline": (LATE, WELL),
    "ttft_mean during wifi < 3x baseline": (WELL, LATE),
    "itl_p50 during wifi < 1.5x baseline": (WELL, CHOPPY),
    "max_gap_p95 during wifi <= 2x baseline": (WELL, CHOPPY),
    "delivered_fraction during wifi >= 0.95x baseline": (WELL, SHORT),
}


@cache
def sizes(text: str) -> tuple[tuple[str, SampleSize | None], ...]:
    """What it takes to be met and to be broken."""
    found = sample_sizes(parse(text))
    return ("met", found.to_be_met), ("broken", found.to_be_broken)


def below(streams: int) -> list[int]:
    """Some numbers below this one, the next lower one among them."""
    return sorted({1, streams // 2, streams - 1} & set(range(1, streams)))


@pytest.mark.parametrize("text", CASES)
def test_a_bound_is_decided_from_the_needed_number_on(text: str) -> None:
    """With all streams well, or none, no smaller number decides, and the needed one does; the report names it."""
    for stream, (verdict, size) in zip(CASES[text], sizes(text), strict=True):
        assert size is not None

        assert judged(f"{text} during wifi", wifi=(size.streams, stream)).verdict == verdict
        for fewer in below(size.streams):
            found = judged(f"{text} during wifi", wifi=(fewer, stream))
            assert (found.verdict, found.streams_needed) == ("undecided", size.streams), fewer


@pytest.mark.parametrize("text", RATIOS)
def test_a_multiple_is_decided_from_the_needed_number_on(text: str) -> None:
    """The same for a multiple of another phase, where both have the number."""
    for stream, (verdict, size) in zip(RATIOS[text], sizes(text), strict=True):
        assert size is not None

        found = judged(text, wifi=(size.streams, stream), baseline=(size.streams, WELL))
        assert found.verdict == verdict
        for fewer in below(size.streams):
            found = judged(text, wifi=(fewer, stream), baseline=(fewer, WELL))
            assert (found.verdict, found.streams_needed) == ("undecided", size.streams), fewer


@pytest.mark.parametrize("bound", [5, 20, 60])
def test_a_rate_of_stalls_needs_minutes_of_streaming(bound: int) -> None:
    """No stall in the needed minutes meets the bound, no stall in fewer does not, and the report says so in streams."""
    steady = Stream(gap=150, tokens=9)
    size = sample_sizes(parse(f"stalls_per_minute < {bound}")).to_be_met
    assert size is not None
    streams = -(-round(size.minutes * 60_000) // 1200)

    found = judged(f"stalls_per_minute < {bound} during wifi", wifi=(max(streams, size.streams), steady))
    assert found.verdict == "met"
    for fewer in below(streams):
        found = judged(f"stalls_per_minute < {bound} during wifi", wifi=(fewer, steady))
        assert found.verdict == "undecided"
        assert found.streams_needed == max(streams, size.streams), fewer


@pytest.mark.parametrize("reference", ["", " baseline"])
@pytest.mark.parametrize(("percent", "gaps"), [(90, 37), (95, 74), (99, 369)])
def test_a_percentile_of_gaps_needs_gaps(percent: int, gaps: int, reference: str) -> None:
    """So many gaps bound it from above, and one stream less does not; the report says so in streams."""
    text = f"itl_p{percent} during wifi < {'2x baseline' if reference else '30ms'}"
    size = sample_sizes(parse(text)).to_be_met
    assert size == SampleSize(10, gaps=gaps)
    streams = max(10, -(-gaps // 4))

    for count, verdict in ((streams, "met"), (streams - 1, "undecided"), (streams // 2, "undecided")):
        found = judged(text, wifi=(count, WELL), baseline=(count, WELL))
        assert (found.verdict, found.streams_needed) == (verdict, None if verdict == "met" else streams), count


@pytest.mark.parametrize(
    ("text", "stream"),
    [
        ("interruption_rate <= 0%", WELL),
        ("stalls_per_minute <= 0", WELL),
        ("stall_ratio <= 0%", WELL),
        ("delivered_fraction >= 100%", WELL),
        ("interruption_rate <= 100%", DEAD),
        ("interruption_rate during wifi < 2x baseline", WELL),
        ("stalls_per_minute during wifi < 2x baseline", WELL),
    ],
)
def test_what_no_number_decides_is_known(text: str, stream: Stream) -> None:
    """Nothing proves that something never happens, or happens often where it does not happen at all."""
    found = judged(text, wifi=(400, stream), baseline=(400, stream))

    assert sample_sizes(parse(text)).to_be_decided is None
    assert found.verdict == ("met" if text.endswith("100%") and stream is DEAD else "undecided")


@given(st.sampled_from(sorted(METRICS)), st.sampled_from(["<", "<=", ">", ">="]), st.floats(0.001, 0.999))
def test_every_metric_has_its_sizes(metric: str, operator: str, share: float) -> None:
    """Every metric that an objective may name has sizes, which are the same for the opposite sentence."""
    rate = f"{share * 10:.6f}"
    bounds = {"duration": "50ms", "share": f"{share:.9%}", "per-minute": rate, "per-second": rate}
    bound = bounds[METRICS[metric].kind]
    opposite: Callable[[str], str] = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}.__getitem__

    found = sample_sizes(parse(f"{metric} {operator} {bound}"))
    other = sample_sizes(parse(f"{metric} {opposite(operator)} {bound}"))

    assert found.to_be_decided is not None
    assert (found.to_be_met, found.to_be_broken) == (other.to_be_broken, other.to_be_met)
