"""The chains of a run that were made by hand (`made_spans.chain_run`), every number computed by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from made_runs import MS, Made, plan
from made_spans import MadeChain, chain_run, trace

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.chains.chain_results import PhaseTiers, Requests
from chaoskit.analysis.result import ObjectiveResult, Result
from chaoskit.records.model import Request
from chaoskit.records.spans import Span

OBJECTIVES = [
    ("toolchain_p50 < 300ms during wifi for premium", "met", 245),
    ("toolchain_p50 < 200ms during wifi of support", "broken", 245),
    ("toolchain_p50 < 200ms during wifi for batch", "met", 115),
    ("toolchain_p50 during wifi for premium < 1.2x baseline", "broken", 245 / 165),
    ("retrieval_fallback_ratio <= 5% during wifi", "broken", 0.2),
    ("retrieval_fallback_ratio <= 50% during wifi of support", "met", 0.2),
    ("retrieval_timeout_ratio <= 5% during wifi", "broken", 0.2),
    ("degraded_ratio <= 20% during wifi", "met", 0.05),
    ("queued_rate <= 30% for premium", "broken", 0.5),
    ("shed_rate <= 5%", "met", 0),
    ("ttft_p50 < 100ms for batch during wifi", "met", 36),
    ("interruption_rate <= 20% for premium", "met", 0),
    ("recovers within 1s after wifi", "met", 0),
    ("retrieval_fallback_ratio <= 5% for batch", "undecided", None),
    ("downgrade_rate <= 5%", "undecided", None),
    ("ttft_p95 < 1s of nothing", "undecided", None),
]
"""Each with its verdict, and with the number that decides it."""


def result(tmp_path: Path, *objectives: str, work: Made | None = None) -> Result:
    """Its result."""
    return analyse((work or chain_run(*objectives)).write(tmp_path / "run"))


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """That of the run as it was made, with all objectives."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("chaoskit.spec.experiment.population_mismatches", lambda *_: [])  # this lab has no classes
        return result(tmp_path_factory.mktemp("usual"), *(text for text, _, _ in OBJECTIVES))


def phase(found: Result, name: str) -> PhaseTiers:
    """The tiers of a phase."""
    here = found.phase(name)
    assert here.tiers is not None
    return here.tiers


def row(tiers: PhaseTiers, name: str = "") -> Requests:
    """The row of a workflow or class; that of all requests."""
    return next(each for each in tiers.rows if name in (each.workflow, each.traffic_class) or not name)


def verdict(found: Result) -> ObjectiveResult:
    """That on its only objective."""
    return found.objectives[0]


def test_the_time_of_a_chain_ends_with_its_last_hop(usual: Result) -> None:
    """From `scheduled` to the end of the model's call: 165 ms for support, 115 for chat; 80 more during wifi."""
    times = {
        (name, who): row(phase(usual, name), who).toolchain.p50_ms
        for name in ("baseline", "wifi")
        for who in ("support", "chat")
    }
    assert times == {
        ("baseline", "support"): 165, ("baseline", "chat"): 115, ("wifi", "support"): 245, ("wifi", "chat"): 115,
    }  # fmt: skip


def test_a_row_for_each_workflow_and_class(usual: Result) -> None:
    """All requests first; what was admitted, queued and degraded is counted in each."""
    tiers = phase(usual, "baseline")

    rows = [(each.workflow, each.traffic_class, each.started, each.admitted, each.queued) for each in tiers.rows]
    assert rows == [
        (None, None, 100, 75, 25), ("chat", None, 50, 50, 0), ("support", None, 50, 25, 25), (None, "batch", 50, 50, 0),
        (None, "premium", 50, 25, 25),
    ]  # fmt: skip
    assert [(each.name, each.count) for each in row(tiers).degraded] == [("breadth", 5)]
    assert (row(tiers).degraded_ratio.value, row(tiers, "premium").queued_rate.value) == (0.05, 0.5)


def test_outcomes_of_retrieval_are_kept_apart(usual: Result) -> None:
    """A miss is no timeout, and only a timeout or an error that a fallback answered counts for the fallback ratio."""
    wifi = row(phase(usual, "wifi"))

    counts = wifi.retrievals
    assert (counts.hit, counts.miss, counts.timeout, counts.error, counts.total) == (38, 2, 10, 0, 50)
    assert [(each.name, each.count) for each in counts.fallbacks] == [("no-context", 10)]
    assert (wifi.retrieval_fallback_ratio.value, wifi.retrieval_miss_ratio.value) == (0.2, 0.04)


def test_hops_with_their_attempts(usual: Result) -> None:
    """One line for each host and purpose."""
    hops = phase(usual, "wifi").hops

    assert [(each.operation, each.host, each.calls, each.attempts) for each in hops] == [
        ("policy", "guard", 100, 100), ("retrieval", "vectors", 50, 50), ("model", "model", 100, 100),
    ]  # fmt: skip
    assert hops[1].duration.p95_ms == 130
    assert [(each.name, each.count) for each in hops[1].errors] == [("timeout", 10)]


def test_the_slow_chains_name_the_link_and_its_size(usual: Result) -> None:
    """80 ms were added to the link between gateway and vectors, and to nothing else."""
    tiers = phase(usual, "wifi")

    added = {each.place: each.added_ms for each in tiers.path}
    assert tiers.slow == 11  # a tenth of 101: one of the baseline ends during wifi
    assert added["network gateway–vectors"] == pytest.approx(84 - 2, abs=0.1)  # usually 4 ms of every second chain
    assert tiers.path[0].link == ("gateway", "vectors") or tiers.path[1].link == ("gateway", "vectors")
    assert sum(each.mean_ms for each in tiers.path) == pytest.approx(245)
    assert sum(each.share for each in tiers.path) == pytest.approx(1)


def test_late_first_tokens_have_one_cause_each(usual: Result) -> None:
    """During wifi those of support are late: 40 by the link. Those that fell back are as in the baseline."""
    late = phase(usual, "wifi").late_first_tokens

    assert late is not None
    assert (late.late, late.beyond_ms, late.unknown) == (40, 86, 0)
    assert [(each.place, each.requests) for each in late.causes] == [("network gateway–vectors", 40)]
    assert late.causes[0].mean_ms == pytest.approx(82)


@pytest.mark.parametrize(("objective", "judgement", "value"), OBJECTIVES)
def test_objectives_of_classes_and_workflows(
    usual: Result, objective: str, judgement: str, value: float | None
) -> None:
    """Each is computed from the requests that it names alone."""
    (found,) = (each for each in usual.objectives if each.text == objective)

    assert found.verdict == judgement
    assert found.observed.value == (None if value is None else pytest.approx(value))
    assert found.reason


def test_spans_that_never_came_leave_it_undecided(tmp_path: Path) -> None:
    """With the reason: nobody exported any, or too many requests lack them."""
    none, some = chain_run("toolchain_p95 < 1s"), chain_run("toolchain_p95 < 1s")
    none.records = [each for each in none.records if not isinstance(each, Span)]
    some.records = [each for each in some.records if not isinstance(each, Span) or int(each.trace, 16) % 10]

    nobody, few = verdict(result(tmp_path / "a", work=none)), verdict(result(tmp_path / "b", work=some))

    assert (nobody.verdict, nobody.reason) == ("undecided", "no program exported a span of any of 300 requests")
    assert few.verdict == "undecided"
    assert few.reason.endswith("but 30 of 300 requests have no span")


def test_a_request_that_failed_has_a_chain_that_never_ended(tmp_path: Path) -> None:
    """Its hops may have ended: the user has no answer."""
    work = chain_run("toolchain_p95 < 1s during wifi")
    work.records = [
        replace(each, completion="reset") if isinstance(each, Request) and 100 <= each.stream < 120 else each
        for each in work.records
    ]

    assert verdict(result(tmp_path, work=work)).verdict == "broken"


def test_a_refused_request_is_shed_and_its_first_token_rejected(tmp_path: Path) -> None:
    """By the span of the gateway, or by status 429 where there is no span."""
    work = Made(plan(["shed_rate <= 50% during wifi"])).phases().many(0, 9500, 50)
    for number in range(20):
        asked = work.stream(11_000 + number * 100, [], "http_error", status=429, trace=trace(number))
        if number % 2:
            MadeChain(work, trace(number)).span(
                None, "gateway", "workflow", 11_000 + number * 100, 11_001 + number * 100, "shed", ADMISSION="shed"
            )
        assert asked
    work.counters("wifi", 9000, 1000, 10_000, 20_000).handshakes(1000, [1] * 9).handshakes(11_000, [31] * 9)

    found = result(tmp_path, work=work)

    assert (verdict(found).verdict, verdict(found).observed.value) == ("broken", 1.0)
    late = phase(found, "wifi").late_first_tokens
    assert late is not None
    assert {(each.place, each.requests) for each in late.causes} == {("gateway rejected", 10), ("target rejected", 10)}


def test_a_request_that_was_refused_at_once_is_no_slow_chain(tmp_path: Path) -> None:
    """Half of those in wifi are answered 429 within a millisecond: those that were served still name the link."""
    work, refused = chain_run(), {number: trace(number) for number in range(101, 200, 2)}
    work.records = [each for each in work.records if not (isinstance(each, Span) and each.trace in refused.values())]
    work.records = [
        replace(each, completion="http_error", status=429, ended=each.scheduled + MS, first_token=None)
        if isinstance(each, Request) and each.stream in refused
        else each
        for each in work.records
    ]
    for number, name in refused.items():
        MadeChain(work, name).span(
            None, "gateway", "workflow", number * 100 + 0.4, number * 100 + 0.6, "shed", ADMISSION="shed"
        )

    tiers = phase(result(tmp_path, work=work), "wifi")

    places = {each.place: each.added_ms for each in tiers.path}
    assert "network client–gateway" not in list(places)[:2]
    assert places["network gateway–vectors"] == pytest.approx(84 - 2, abs=0.1)
    assert sum(each.mean_ms for each in tiers.path) == pytest.approx(245)


def test_a_failed_attempt_counts_at_the_host_that_was_asked(tmp_path: Path) -> None:
    """A first model that hangs, and a second one that answers: the errors are the first one's."""
    work = Made(plan()).phases()
    for number in range(10):
        at = 1000 + number * 100
        work.stream(at, [at + 60], trace=trace(number))
        chain = MadeChain(work, trace(number))
        root = chain.span(None, "gateway", "workflow", at, at + 80)
        hop = chain.span(root, "gateway", "model", at, at + 80)
        chain.span(hop, "gateway", "model", at, at + 50, "timeout", ATTEMPT=1, SERVER_ADDRESS="primary")
        second = chain.span(hop, "gateway", "model", at + 50, at + 80, ATTEMPT=2, SERVER_ADDRESS="backup")
        chain.span(second, "backup", "model", at + 51, at + 79)

    hops = phase(result(tmp_path, work=work), "baseline").hops

    found = {each.host: (each.calls, each.attempts, [(one.name, one.count) for one in each.errors]) for each in hops}
    assert found == {"primary": (0, 10, [("timeout", 10)]), "backup": (10, 10, [])}


def test_a_user_who_asks_again_has_waited_from_the_first_time(tmp_path: Path) -> None:
    """The request that was given up has no chain of its own; the one after it began when the user first asked."""
    work = Made(plan()).phases()
    work.stream(1000, [], "cancelled", ended=3000, trace=trace(0))
    work.stream(3500, [3600, 3620], trace=trace(1), attempt=2, retry_of=0)
    for number, at in ((0, 1000), (1, 3500)):
        MadeChain(work, trace(number)).span(None, "gateway", "workflow", at, at + 120)

    chains = row(phase(result(tmp_path, work=work), "baseline")).toolchain

    assert (chains.count, chains.max_ms) == (1, 2620)
