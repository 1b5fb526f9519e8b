"""Each experiment of `experiments/tiers/` shows what its file claims."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median

import other_python
import pytest
import real_programs
import warm
from clocks import known
from variant_run import conduct, conduct_elsewhere

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.chains.chain_results import FailoverTimes, Requests
from chaoskit.analysis.chains.queue_result import ModelPhase
from chaoskit.analysis.result import Metrics, Result
from chaoskit.records.directory import first_difference
from chaoskit.records.jsonl import read
from chaoskit.records.model import Phase, Request
from chaoskit.records.span_names import ATTEMPT, RETRIEVAL_FALLBACK, RETRIEVAL_OUTCOME, SERVER_ADDRESS
from chaoskit.records.spans import Exports, Operation, Span
from chaoskit.spec.matrix import load_variants
from chaoskit.substrate.uml import GuestKernel

FILES = {path.stem: path for path in sorted((Path(__file__).parents[2] / "experiments/tiers").glob("*.yaml"))}
REPEATING = "vpn-on-retrieval-not-model"
"""The one that is run again, in another environment: all of its bytes are the same."""


@dataclass(frozen=True)
class Run:
    """A variant's run directory."""

    path: Path

    @cached_property
    def result(self) -> Result:
        """Its result."""
        return analyse(self.path)

    @cached_property
    def spans(self) -> list[Span]:
        """Its spans."""
        return read(self.path, Span)

    @property
    def verdict(self) -> str:
        """Met, broken or undecided."""
        return self.result.outcome.verdict

    def metrics(self, phase: str) -> Metrics:
        """What a phase measured."""
        found = self.result.phase(phase)
        return found.metrics

    @property
    def queue(self) -> tuple[ModelPhase, ...]:
        """The phases of its one model."""
        (model,) = self.result.models
        return model.phases

    def ttft(self, phase: str) -> float:
        """The median time to the first token in a phase, ms."""
        return known(self.metrics(phase).ttft.p50_ms)

    def waits(self, name: str, phase: str) -> list[float]:
        """The times to the first token of a class in a phase, ms, of those who were answered."""
        return [
            (each.first_token - each.scheduled) / 1e6
            for each in self.begun(phase)
            if each.traffic_class == name and each.first_token is not None
        ]

    def hops(self, operation: Operation, phase: str) -> list[Span]:
        """The gateway's hops, without their attempts, of workflows that began in a phase."""
        begins = {each.trace: each.begin for each in self.spans if each.operation == "workflow"}
        phases = read(self.path, Phase)
        return [
            each
            for each in self.spans
            if each.host == "gateway" and each.operation == operation and ATTEMPT not in each.attributes
            if [one.name for one in phases if one.ready <= begins[each.trace]][-1:] == [phase]
        ]

    def attempts(self, operation: Operation) -> list[Span]:
        """The gateway's attempts."""
        return [
            each
            for each in self.spans
            if each.host == "gateway" and each.operation == operation and ATTEMPT in each.attributes
        ]

    def failover(self, phase: str, operation: Operation = "model") -> tuple[float | None, float | None]:
        """How long it took to fail over in a phase and back, ms, which is what the calls say; None: it never did."""
        told = [(each.over_ms, each.back_ms) for each in self.told_failover(phase) if each.operation == operation]
        assert told in ([], [self._by_hand(phase, operation)])
        return told[0] if told else (None, None)

    def told_failover(self, phase: str) -> list[FailoverTimes]:
        """The failovers that the result tells of a phase."""
        found = self.result.phase(phase)
        assert found.tiers is not None
        return list(found.tiers.failover_times)

    def _by_hand(self, phase: str, operation: Operation) -> tuple[float | None, float | None]:
        """From the calls that were answered: when another host than at first was asked, and when that one was again."""
        readies = [(each.name, each.ready) for each in read(self.path, Phase) if each.name != "drain"]
        at = [name for name, _ in readies].index(phase)
        begin, end = readies[at][1], readies[at + 1][1] if at + 1 < len(readies) else None
        spans = [each for each in self.spans if each.operation == operation]
        attempts = [each for each in spans if ATTEMPT in each.attributes and each.error is None]
        calls = sorted((each.begin, str(each.attributes.get(SERVER_ADDRESS, each.host))) for each in attempts or spans)
        over = [at for at, host in calls if host != calls[0][1] and begin <= at and (end is None or at < end)]
        back = [at for at, host in calls if host == calls[0][1] and end is not None and at >= end]
        return (over[0] - begin) / 1e6 if over else None, (back[0] - (end or 0)) / 1e6 if back else None

    def fallbacks(self, phase: str) -> Counter[str]:
        """How often each fallback answered in a phase."""
        found = (each.attributes.get(RETRIEVAL_FALLBACK) for each in self.hops("retrieval", phase))
        return Counter(str(each) for each in found if each is not None)

    def outcomes(self, phase: str) -> Counter[str]:
        """How the retrievals of a phase went."""
        return Counter(str(each.attributes[RETRIEVAL_OUTCOME]) for each in self.hops("retrieval", phase))

    @cached_property
    def requests(self) -> list[Request]:
        """Its requests."""
        return read(self.path, Request)

    def completions(self, phase: str) -> Counter[str]:
        """How the requests of a phase ended."""
        phases = read(self.path, Phase)
        begun = ((each, [one.name for one in phases if one.ready <= each.scheduled][-1:]) for each in self.requests)
        return Counter(each.completion for each, names in begun if names == [phase])

    def begun(self, phase: str) -> list[Request]:
        """The requests of a phase's first occurrence, which began when its faults were in force."""
        begin, end = next((each.ready, each.until) for each in read(self.path, Phase) if each.name == phase)
        return [one for one in self.requests if begin <= one.scheduled < end]

    def lasted(self, phase: str) -> float:
        """The median time from a request of a phase to its end, s."""
        return median((one.ended - one.scheduled) / 1e9 for one in self.begun(phase))

    def longest_wait(self, phase: str) -> float:
        """The longest time to a first token in a phase, ms."""
        return max(self.waited(phase))

    def waited(self, phase: str) -> list[float]:
        """The times to the first token in a phase, ms, of those who were answered, in the order of their requests."""
        begun = sorted(self.begun(phase), key=lambda one: one.scheduled)
        return [(one.first_token - one.scheduled) / 1e6 for one in begun if one.first_token is not None]

    def all_completions(self) -> Counter[str]:
        """How all requests ended."""
        return Counter(each.completion for each in self.requests)

    def slowest(self, operation: Operation, phase: str) -> float:
        """The longest time of such hops, ms."""
        return max(each.end - each.begin for each in self.hops(operation, phase)) / 1e6

    def took(self, operation: Operation, phase: str) -> float:
        """The median time of such hops, ms."""
        return median(each.end - each.begin for each in self.hops(operation, phase)) / 1e6


def vpn_on_retrieval(runs: list[Run]) -> None:
    """First tokens are late by what retrieval takes; the model is as quick; late retrievals are left out."""
    (run,) = runs

    assert run.verdict == "broken"
    assert run.ttft("vpn") - run.ttft("baseline") == pytest.approx(300, abs=60)
    assert run.took("model", "vpn") == pytest.approx(run.took("model", "baseline"), abs=20)
    late = [each for each in run.hops("retrieval", "vpn") if each.attributes[RETRIEVAL_OUTCOME] == "timeout"]
    assert {each.attributes[RETRIEVAL_FALLBACK] for each in late} == {"no-context"}
    assert 0.3 < len(late) / len(run.hops("retrieval", "vpn")) < 0.7


def own_gateway_spans(runs: list[Run]) -> None:
    """A far search makes first tokens late by its way, and no answer of the model takes longer."""
    (run,) = runs

    assert run.verdict == "broken"
    assert run.ttft("far-search") - run.ttft("baseline") == pytest.approx(330, abs=150)
    assert run.took("model", "far-search") == pytest.approx(run.took("model", "baseline"), rel=0.2)
    requests = {each.trace: each for each in read(run.path, Request)}
    assert all(
        request.sent and request.sent <= each.begin <= each.end < request.ended + 10_000_000
        for each in run.spans
        for request in [requests[each.trace]]
    )
    for trace in requests:
        own = sorted(each.operation for each in run.spans if each.trace == trace)
        assert own == ["model", "other", "retrieval", "workflow"]
    late = [each for each in run.hops("retrieval", "far-search") if each.error == "timeout"]
    assert {each.attributes[RETRIEVAL_FALLBACK] for each in late} == {"no-context"}
    assert len(late) > 5
    (total,) = read(run.path, Exports)
    assert (total.spans, total.foreign, total.refused, total.wrong) == (len(run.spans), 0, 0, 0)
    assert total.details > total.spans  # ASGI's, of each chunk


def haystack_gateway(runs: list[Run]) -> None:
    """A gateway that others wrote decides all four objectives, where it is well and under a fault."""
    (run,) = runs

    assert run.verdict == "broken"
    verdicts = {(each.text.split()[0], each.text.split()[-1]): each.verdict for each in run.result.objectives}
    assert verdicts == {
        ("ttft_p95", "baseline"): "met",
        ("ttft_p95", "vpn"): "broken",
        ("toolchain_p95", "baseline"): "met",
        ("toolchain_p95", "vpn"): "broken",
        ("retrieval_fallback_ratio", "baseline"): "met",
        ("retrieval_fallback_ratio", "vpn"): "broken",
        ("interruption_rate", "baseline"): "met",
        ("interruption_rate", "no-tool"): "broken",
    }
    quoted = (FILES["haystack-gateway"].parents[2] / "docs/your-service.md").read_text()
    assert sections(run.path, "Objectives", "Hops", "Retrieval") in quoted
    searches = run.outcomes("vpn")
    assert searches.keys() == {"hit", "miss", "timeout"}
    assert run.fallbacks("vpn") == {"no-context": searches["miss"] + searches["timeout"]}
    assert run.outcomes("baseline").keys() == {"hit", "miss"}
    asked = {each.operation: each.attributes[SERVER_ADDRESS] for each in run.spans if SERVER_ADDRESS in each.attributes}
    assert asked == {"policy": "guard", "retrieval": "vectors", "tool": "tools", "model": "model"}
    broken = [each for each in run.requests if each.completion != "complete"]
    assert {(each.status, each.first_token) for each in broken} == {(200, None)}
    assert run.completions("no-tool") == {broken[0].completion: len(broken)}
    total, *_ = [each for each in read(run.path, Exports) if each.host == "gateway"]
    assert (total.refused, total.wrong, total.problem) == (0, 0, None)


def sections(run: Path, *titles: str) -> str:
    """Parts of the report of a run, on 80 columns."""
    said = warm.chaoskit("report", str(run), environment={"COLUMNS": "80"}).stdout
    parts = "\n".join(line.rstrip() for line in said.splitlines()).split("\n\n")
    return "\n\n".join(part for title in titles for part in parts if part.startswith(title))


def retrieval_timeout_inversion(runs: list[Run]) -> None:
    """Behind a client that waits for less no fallback is ever reached; with a shorter deadline every user has one."""
    late, early = runs

    assert [late.verdict, early.verdict] == ["broken", "met"]
    assert RETRIEVAL_FALLBACK not in {key for each in late.hops("retrieval", "hung") for key in each.attributes}
    assert late.completions("hung")["first_token_timeout"] > 20
    assert {each.attributes[RETRIEVAL_FALLBACK] for each in early.hops("retrieval", "hung")} == {"no-context"}
    assert early.completions("hung").keys() == {"complete"}


def fan_out_tail(runs: list[Run]) -> None:
    """The median of many shards is the tail of one; a deadline of shards buys it back with a part of the results."""
    one, ten, hundred, limited = (run.took("retrieval", "baseline") for run in runs)

    assert one < 50
    assert 2 * one < ten < hundred / 1.5
    assert hundred > 200
    assert limited < 130
    outcomes = [run.outcomes("baseline") for run in runs]
    assert [outcome.keys() for outcome in outcomes[:3]] == [{"hit"}] * 3
    assert outcomes[3]["degraded"] > outcomes[3]["hit"]


def tool_chain_under_loss(runs: list[Run]) -> None:
    """In sequence every lost packet of a chain adds up; in parallel the slowest call decides."""
    sequence, parallel = runs

    assert [run.verdict for run in runs] == ["broken", "met"]
    for run in runs:
        assert run.took("tool", "lossy") < 1.5 * run.took("tool", "baseline") + 60
    assert sequence.took("workflow", "lossy") > 2 * parallel.took("workflow", "lossy")
    assert sequence.slowest("workflow", "lossy") > sequence.slowest("workflow", "baseline") + 500


def failover_model(runs: list[Run]) -> None:
    """Each way to fail costs its own timer for every request; with a breaker only the first ones pay."""
    without, with_breaker = runs

    for run in runs:
        assert run.verdict == "met"
        assert sum(count for kind, count in run.all_completions().items() if kind != "complete") == 1
        assert run.ttft("refused") == pytest.approx(run.ttft("baseline"), abs=20)
    next_request = 50  # ms after the begin of each phase
    over = {"refused": next_request - 5, "black-hole": next_request + 750, "stalled": next_request + 999}
    for run in runs:
        assert {name: run.failover(name)[0] for name in over} == pytest.approx(over, abs=2)
    back = [{name: run.failover(name)[1] for name in over} for run in runs]
    assert back[0] == pytest.approx(dict.fromkeys(over, next_request), abs=2)
    tried_again = {"refused": 5000, "black-hole": 750, "stalled": 1750}
    assert back[1] == pytest.approx({name: next_request + ms for name, ms in tried_again.items()}, abs=2)
    assert [sum(each > 200 for each in run.waited("black-hole")) for run in runs] == [24, 5]
    assert [sum(each > 200 for each in run.waited("stalled")) for run in runs] == [24, 7]
    assert all(run.waited("black-hole")[0] == pytest.approx(1090, abs=40) for run in runs)  # by a kept connection
    assert without.ttft("black-hole") == pytest.approx(600, abs=30)
    assert without.ttft("stalled") == pytest.approx(1095, abs=40)
    assert with_breaker.ttft("black-hole") == pytest.approx(without.ttft("baseline"), abs=20)
    assert with_breaker.ttft("stalled") == pytest.approx(without.ttft("baseline"), abs=20)


def failover_retrieval(runs: list[Run]) -> None:
    """A second index answers for the first, after the deadline of it; where the model fails as well, both add up."""
    (run,) = runs
    to_connect, deadline, per_try = 300, 400, 1000

    assert run.all_completions().keys() == {"complete"}
    assert run.fallbacks("baseline") == run.fallbacks("recovery") == {}
    assert run.fallbacks("refused") == {"spare": 16}
    assert run.took("retrieval", "refused") < 120
    for phase in ("black-hole", "stalled"):
        assert run.fallbacks(phase).keys() == {"spare"}
        assert 300 < run.took("retrieval", phase) < 550
    assert run.fallbacks("no-index")["no-context"] > 10
    to_next_request = 145
    assert run.failover("refused", "retrieval")[0] == pytest.approx(to_next_request, abs=2)
    assert run.failover("black-hole", "retrieval")[0] == pytest.approx(150 + to_connect, abs=2)
    assert run.failover("no-index", "retrieval") == (None, None)  # nobody answered

    added = {name: run.ttft(name) - run.ttft("baseline") for name in BOTH}
    assert added["both-refused"] == pytest.approx(30, abs=20)  # the second index's own time
    assert added["both-black-hole"] == pytest.approx(2 * to_connect + 30, abs=30)
    assert added["both-stalled"] == pytest.approx(deadline + per_try + 30, abs=40)
    assert added["both-slow"] == pytest.approx(2 * to_connect + 30, abs=40)
    for phase in BOTH:
        assert run.fallbacks(phase).keys() == {"spare"}
        assert run.failover(phase, "model")[0] is not None


BOTH = ("both-refused", "both-black-hole", "both-stalled", "both-slow")
"""Phases of failover-retrieval in which index and model fail together."""


def cut_mid_stream(runs: list[Run]) -> None:
    """Passed on, told, hidden or resumed; the second model is asked by the last of these alone."""
    passed_on, told, hidden, resumed = runs

    cut = passed_on.all_completions()["reset"]
    assert cut > 20
    assert told.all_completions()["error_event"] == cut
    assert hidden.all_completions().keys() == resumed.all_completions().keys() == {"complete"}
    assert [len([each for each in run.requests if each.tokens == 20]) for run in runs] == [cut, cut, cut, 0]
    seen = [{each.name: each.count for each in run.result.tiers.failover} for run in runs if run.result.tiers]
    wrong = ("error-shown", "error-shown", "truncated-as-success", "resumed-with-prefix")
    assert seen == [{"none": len(run.requests) - cut, outcome: cut} for run, outcome in zip(runs, wrong, strict=True)]
    asked = [{each.attributes[SERVER_ADDRESS] for each in run.attempts("model")} for run in runs]
    assert asked == [{"first"}] * 3 + [{"first", "second"}]


def mcp_session_lost(runs: list[Run]) -> None:
    """A connection, a 404 and the three exchanges that open a session, each 40 ms, for one call only."""
    trip, call = 40, 90
    slowest = [[run.slowest("tool", phase) for phase in ("usual", "after")] for run in runs]

    assert slowest[0] == pytest.approx([trip + call] * 2, abs=1)
    assert slowest[1] == pytest.approx([4 * trip + call, 5 * trip + call], abs=1)
    for run in runs:
        assert run.verdict == "met"
        assert run.all_completions().keys() == {"complete"}
        assert {each.error for each in run.hops("tool", "restart")} == {"connect"}
        assert {each.error for each in run.hops("tool", "after")} == {None}
        assert run.took("tool", "after") == pytest.approx(call, abs=1)


def each_link_of_a_chain(runs: list[Run]) -> None:
    """Late first tokens of a phase name the link that was delayed, and what was added there, handshakes apart."""
    (run,) = runs
    links = {"client": 70, "guard": 80, "vectors": 90, "tools": 120, "model": 110}

    assert run.verdict == "met"
    for host, delay in links.items():
        phase = run.result.phase(f"slow-{host}")
        assert phase.tiers is not None
        assert phase.tiers.late_first_tokens is not None
        cause = phase.tiers.late_first_tokens.causes[0]
        assert cause.link == (("client", "gateway") if host == "client" else ("gateway", host))
        assert cause.requests > 0.8 * phase.tiers.late_first_tokens.late
        assert cause.mean_ms == pytest.approx(delay, abs=2)


def failover_proxies(runs: list[Run]) -> None:
    """Untouched, each notices something else, and nobody a hung model; told to, all answer all. Cuts are passed on."""
    nginx, haproxy, envoy = untouched = runs[0::2]
    impatient = runs[1::2]

    assert [run.verdict for run in runs] == ["broken", "met"] * 3
    for run in runs:
        assert run.completions("baseline")["truncated"] > 3
    assert [run.completions("hung").keys() for run in untouched] == [{"http_error"}] * 3
    for run, seconds in zip(untouched, (60, 50, 15), strict=True):
        assert run.lasted("hung") == pytest.approx(seconds, abs=0.1)
        assert 450 < run.ttft("slow") < 1000
        assert run.told_failover("slow") == run.told_failover("hung") == []
    for run in impatient:
        for phase in ("dead", "black-hole", "hung"):
            assert run.completions(phase).keys() == {"complete"}
            assert run.ttft(phase) == pytest.approx(205, abs=20)
        assert 700 < run.longest_wait("black-hole") < 1300
        assert 1200 < run.longest_wait("hung") < 2300

    assert nginx.completions("dead").keys() == {"complete"}
    assert nginx.ttft("dead") == pytest.approx(200, abs=5)
    assert nginx.completions("black-hole")["complete"] > 20
    assert nginx.lasted("black-hole") == pytest.approx(60.6, abs=0.1)

    assert haproxy.completions("dead").keys() == haproxy.completions("black-hole").keys() == {"http_error", "complete"}
    assert 3 < haproxy.completions("dead")["complete"] < haproxy.completions("dead")["http_error"]
    assert haproxy.completions("black-hole")["http_error"] > 15

    assert envoy.completions("dead").keys() == envoy.completions("black-hole").keys() == {"http_error"}

    over = [[each.over_ms for each in run.told_failover("dead")] for run in runs]
    assert over == [pytest.approx(ms, abs=60) for ms in ([394], [394], [5894], [170], [], [406])]
    back = [[each.back_ms for each in run.told_failover("dead")] for run in runs]
    assert back == [pytest.approx(ms, abs=2) for ms in ([3800], [3800], [300], [800], [], [5800])]


def incident_retry_storm(runs: list[Run]) -> None:
    """With six retries nearly all requests after the surge are abandoned; with one goodput is back within seconds."""
    storm, calm = runs

    assert [storm.verdict, calm.verdict] == ["broken", "met"]
    after = storm.metrics("recovery")
    assert after.completions["abandoned"] > 0.9 * after.started
    assert after.started > 5 * (after.started - after.retries)
    assert storm.metrics("baseline").interrupted == calm.metrics("baseline").interrupted == 0
    assert known(calm.result.objectives[0].observed.value) < 10_000


def spike_three_policies(runs: list[Run]) -> None:
    """Premium waits for the backlog, or goes first; with shedding nobody waits, and the least important are refused."""
    fcfs, priority, shed = runs

    def row(run: Run, name: str, phase: str = "spike") -> Requests:
        found = run.result.phase(phase)
        assert found.tiers is not None
        return next(each for each in found.tiers.rows if each.traffic_class == name)

    assert [run.verdict for run in runs] == ["broken", "met", "met"]
    first = [known(row(run, "premium").ttft.p90_ms) for run in runs]
    assert first[0] > 10 * max(first[1:])
    assert known(row(priority, "batch").ttft.p50_ms) > 20 * first[1]
    assert known(row(fcfs, "batch").ttft.p50_ms) > 5000
    assert median(shed.waits("batch", "spike")) < 1000
    refused = {name: row(shed, name).shed / row(shed, name).started for name in ("premium", "standard", "batch")}
    assert refused["premium"] == 0 < refused["standard"] < 0.5 < refused["batch"]
    assert row(fcfs, "batch").shed == row(priority, "batch").shed == 0
    assert row(fcfs, "premium").inversions == 0
    assert all(row(fcfs, name).inversions > 0.8 * row(fcfs, name).started for name in ("standard", "batch"))
    assert all(row(run, "batch").inversions <= 5 for run in (priority, shed))  # in the model's own queue
    assert known(row(fcfs, "premium", "recovery").ttft.p50_ms) > 10 * known(
        row(shed, "premium", "recovery").ttft.p50_ms
    )


def false_alarms(runs: list[Run]) -> None:
    """Old metrics, longer answers and a longer way: each makes one of three refuse, at a model that is well."""
    blind, whole, first = runs

    assert [run.verdict for run in runs] == ["broken"] * 3
    for run in runs:
        assert all(known(phase.waiting_max) <= 1 and known(phase.kv_usage_max) < 0.02 for phase in run.queue)
        assert all(median(run.waits("premium", phase)) < 30 for phase in ("baseline", "longer"))
    refused = [{phase: shed(run, phase) for phase in ("baseline", "longer", "far", "recovery")} for run in runs]
    assert refused[0] == {"baseline": {}, "longer": {}, "far": {"batch": 14, "standard": 26}, "recovery": {}}
    assert {each.detail.partition("dropped: ")[2].partition(":")[0] for each in blind.requests} == {"", "saturated"}
    assert all(300 < each < 340 for each in blind.waits("premium", "far"))
    assert refused[1]["longer"].total() == 14
    assert refused[2]["longer"] == refused[2]["baseline"] == refused[1]["baseline"] == Counter()
    assert refused[2]["far"].total() == 18
    for run in (whole, first):
        assert {"503" in each.detail for each in run.requests if each.completion != "complete"} == {True}


def shed(run: Run, phase: str) -> Counter[str]:
    """How many of each class were refused in a phase."""
    found = run.result.phase(phase)
    assert found.tiers is not None
    return +Counter({row.traffic_class: row.shed for row in found.tiers.rows if row.traffic_class is not None})


def degradation_ladder(runs: list[Run]) -> None:
    """Each step is reached, buys latency, is told, and is released in the reverse order; none comes back."""
    without, run = runs

    assert [without.verdict, run.verdict] == ["broken", "met"]
    assert without.result.ladders == ()
    assert without.ttft("surge") > 10 * run.ttft("surge")
    (ladder,) = run.result.ladders
    assert (ladder.switches, ladder.oscillates, ladder.in_force_at_end) == (6, False, ())
    assert [(step.step, step.entered, step.released, step.unmarked) for step in ladder.steps] == [
        ("breadth", 1, 1, ()),
        ("single-tool", 1, 1, ()),
        ("concise", 1, 1, ()),
    ]
    assert all(step.signals[0] >= step.trigger for step in ladder.steps)
    assert known(ladder.steps[0].prompt_tokens) < known(ladder.steps[0].prompt_tokens_before) / 3
    assert [step.seconds for step in ladder.steps] == sorted((step.seconds for step in ladder.steps), reverse=True)
    assert {each.degraded for each in run.requests} >= {None, "breadth,single-tool,concise"}


def soft_saturation(runs: list[Run]) -> None:
    """The GPU is as busy at six times the requests; first tokens are six times as late, and the queue shows it."""
    (run,) = runs
    calm, surge, _ = run.queue

    assert run.verdict == "broken"
    assert known(calm.busy) > 0.95
    assert known(surge.busy) > 0.95
    assert known(surge.first_token_p95_ms) > 5 * known(calm.first_token_p95_ms)
    assert (known(calm.waiting_max), known(surge.waiting_max)) == (3, 31)
    assert known(run.metrics("baseline").itl.p50_ms) < 15
    assert known(run.metrics("surge").itl.p50_ms) > 140
    assert [known(each.requests_per_second) for each in (calm, surge)] == pytest.approx([2.25, 12.15], abs=0.06)
    assert [known(each.waiting) for each in (calm, surge)] == pytest.approx([0.2, 14], abs=0.6)
    assert re.search(r"says nothing; requests 2\.\d+/s -> 12\.\d/s, waiting 0 -> 1\d,", run.result.models[0].sentence)
    assert run.result.spans is not None
    assert (run.result.spans.requests, run.result.spans.without_span) == (len(run.requests), 0)


def kv_cliff(runs: list[Run]) -> None:
    """A cache that is too small preempts, stops answers and delays all; busy share and median gap stay the same."""
    large, small = runs
    (roomy,), (tight,) = large.queue, small.queue

    assert [large.verdict, small.verdict] == ["met", "broken"]
    assert (roomy.preemptions, tight.preemptions) == (0, 59)
    assert tight.busy == pytest.approx(known(roomy.busy), abs=0.01)
    gaps = [known(run.metrics("baseline").itl.p50_ms) for run in runs]
    assert gaps[0] == pytest.approx(gaps[1], rel=0.05)
    assert small.ttft("baseline") > 100 * large.ttft("baseline")
    assert known(small.metrics("baseline").itl.max_ms) > 6000 > 200 > known(large.metrics("baseline").itl.max_ms)
    (stalls,) = (phase.stall_attribution for phase in small.result.phases)
    assert stalls.stalls == 7
    assert stalls.server_ms == pytest.approx(8592, abs=10)
    assert stalls.network_ms == 0


CHECKS: dict[str, Callable[[list[Run]], None]] = {
    "cut-mid-stream": cut_mid_stream,
    "degradation-ladder": degradation_ladder,
    "failover-model": failover_model,
    "failover-proxies": failover_proxies,
    "failover-retrieval": failover_retrieval,
    "false-alarms": false_alarms,
    "fan-out-tail": fan_out_tail,
    "haystack-gateway": haystack_gateway,
    "incident-retry-storm": incident_retry_storm,
    "kv-cliff": kv_cliff,
    "mcp-session-lost": mcp_session_lost,
    "own-gateway-spans": own_gateway_spans,
    "retrieval-timeout-inversion": retrieval_timeout_inversion,
    "spike-three-policies": spike_three_policies,
    "tool-chain-under-loss": tool_chain_under_loss,
    "soft-saturation-healthy-gpu": soft_saturation,
    "each-link-of-a-chain": each_link_of_a_chain,
    "vpn-on-retrieval-not-model": vpn_on_retrieval,
}


def test_every_experiment_has_a_check() -> None:
    """No file claims what nobody looks at."""
    assert CHECKS.keys() == FILES.keys()


@pytest.mark.parametrize("name", FILES)
def test_an_experiment_shows_what_it_claims(name: str, kernel: GuestKernel, tmp_path: Path) -> None:
    """All variants, in the order of the file."""
    path = real_programs.search_path(tmp_path / "bin")
    variants = [variant.name for variant in load_variants(FILES[name]).each]
    runs = [conduct(FILES[name], variant, kernel, tmp_path / str(at), path) for at, variant in enumerate(variants)]

    CHECKS[name]([Run(run) for run in runs])

    if name == REPEATING:
        place, python = tmp_path / "in a folder with a longer name", other_python.make(tmp_path / "python")
        again = conduct_elsewhere(FILES[name], variants[0], kernel, place, path, python)
        assert first_difference(runs[0], again) == ""
