"""Summarizes the hops of each phase: a row for each class and workflow, the hops, the slow chains."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from chaoskit.analysis.chains.actions import Action, Hop
from chaoskit.analysis.chains.chain_results import Count, HopResult, PhaseTiers, Requests, Retrievals, SpanCounts
from chaoskit.analysis.chains.failover import failover_times, outcomes
from chaoskit.analysis.chains.measurements import TierMeasurements
from chaoskit.analysis.chains.paths import (
    chain_parts,
    late_first_tokens,
    path_shares,
    slow_chains,
    usual_first_token,
    usual_path,
)
from chaoskit.analysis.statistics.estimates import Estimates
from chaoskit.analysis.statistics.quantiles import summarize
from chaoskit.analysis.streams.phase_samples import PhaseSamples
from chaoskit.analysis.streams.populations import EVERYBODY, Population, SamplesByPopulation
from chaoskit.analysis.streams.timeline import Timeline
from chaoskit.analysis.summaries import LatencySummary
from chaoskit.records import span_names
from chaoskit.records.spans import OPERATIONS, Operation, Span
from chaoskit.spec.metrics import METRICS

_MOST_ROWS = 64  # classes and workflows that are told one by one: their names may come from programs
_NO_CALL = "it answered no call; another host did, after it"
_HopName = tuple[Operation, str]


def span_counts(found: TierMeasurements) -> SpanCounts | None:
    """How many spans the run has; None without tiers."""
    if not has_tiers(found):
        return None
    return SpanCounts(
        spans=found.spans,
        requests=len(found.actions),
        without_span=sum(each.root is None for each in found.actions),
        **vars(found.malformed),
    )


def has_tiers(found: TierMeasurements) -> bool:
    """Whether anything is known of hops, classes or workflows."""
    return bool(found.spans) or len(_populations(found)) > 1


def tiers_by_phase(
    found: TierMeasurements,
    populations: SamplesByPopulation,
    estimates: Estimates,
    timeline: Timeline,
    reference: str,
) -> dict[str, PhaseTiers]:
    """The summary of each phase, by its name; nothing without tiers."""
    if not has_tiers(found):
        return {}
    actions = {each.request.stream: each for each in found.actions}
    samples = populations.of(EVERYBODY)
    usual = usual_path(samples.get(reference), actions)
    usual_first = usual_first_token(samples.get(reference), actions)
    names = _populations(found)[:_MOST_ROWS]
    summaries = {}
    for name, sample in samples.items():
        slow = slow_chains(sample, actions)
        summaries[name] = PhaseTiers(
            rows=tuple(_row(each, populations.of(each)[name], actions, found, estimates) for each in names),
            hops=tuple(_hops(sample, actions, slow)),
            slow=len(slow),
            path=path_shares(slow, usual),
            failover=outcomes(_of(sample, actions), found.numbering),
            failover_times=tuple(failover_times(found.actions, timeline, reference, name)),
            late_first_tokens=late_first_tokens(sample, actions, usual_first) if found.spans else None,
        )
    return summaries


def _populations(found: TierMeasurements) -> list[Population]:
    """All requests, then each class and each workflow of which there are some."""
    requests = [each.request for each in found.actions]
    classes = dict.fromkeys(each.traffic_class for each in requests if each.traffic_class)
    workflows = dict.fromkeys(each.workflow for each in requests if each.workflow)
    return [
        EVERYBODY,
        *(Population(workflow=name) for name in sorted(workflows)),
        *(Population(traffic_class=name) for name in sorted(classes)),
    ]


def _row(
    whose: Population,
    sample: PhaseSamples,
    actions: Mapping[int, Action],
    found: TierMeasurements,
    estimates: Estimates,
) -> Requests:
    those = _of(sample, actions)
    admissions = Counter(action.admission for action in those)
    shares = {name: estimates.of(sample, name).scaled() for name in Requests.model_fields if name in METRICS}
    return Requests(
        traffic_class=whose.traffic_class,
        workflow=whose.workflow,
        started=len(sample.streams),
        complete=sum(stream.is_complete for stream in sample.streams),
        interrupted=len(sample.interrupted),
        ttft=_times(sample, "ttft", estimates),
        toolchain=_times(sample, "toolchain", estimates),
        admitted=admissions["admitted"],
        queued=admissions["queued"],
        shed=admissions["shed"],
        inversions=sum(stream.number in found.inversions for stream in sample.streams),
        retrievals=_retrievals(those),
        degraded=_counted(step for action in those for step in action.steps),
        downgraded=_counted(
            f"{each.tiers[0]} -> {each.tiers[1]}" for each in those if each.tiers and each.is_downgraded
        ),
        **shares,
    )


def _of(sample: PhaseSamples, actions: Mapping[int, Action]) -> list[Action]:
    return [actions[stream.number] for stream in sample.streams if stream.number in actions]


def _times(sample: PhaseSamples, name: str, estimates: Estimates) -> LatencySummary:
    return sample.times_of(name).summary(estimates.of(sample, f"{name}_p50").missing)


def _retrievals(actions: Iterable[Action]) -> Retrievals:
    hops = [hop for action in actions for hop in action.retrievals]
    outcomes: dict[str, int] = Counter(hop.outcome or "untold" for hop in hops)
    return Retrievals(**outcomes, fallbacks=_counted(hop.fallback for hop in hops if hop.fallback))


def _hops(sample: PhaseSamples, actions: Mapping[int, Action], slow: Sequence[Action]) -> Iterator[HopResult]:
    """The hops of the requests of a phase, in the order of their purpose; each attempt at the host that it asked."""
    hops: dict[_HopName, list[Hop]] = defaultdict(list)
    attempts: dict[_HopName, list[Span]] = defaultdict(list)
    for hop in (hop for stream in sample.streams if stream.number in actions for hop in actions[stream.number].hops):
        hops[hop.operation, hop.host].append(hop)
        for span, host in hop.attempts:
            attempts[hop.operation, host].append(span)
    times, total = _slow_times(slow)
    for operation, host in sorted(attempts, key=lambda name: (OPERATIONS.index(name[0]), name[1])):
        those, spans = hops.get((operation, host), []), attempts[operation, host]
        yield HopResult(
            operation=operation,
            host=host,
            calls=len(those),
            attempts=len(spans),
            hedges=sum(span.attributes.get(span_names.HEDGE) is True for span in spans),
            errors=_counted(span.error for span in spans if span.error),
            duration=summarize((hop.node.end - hop.node.begin for hop in those), "" if those else _NO_CALL),
            slow_share=times[operation, host] / total if total else None,
        )


def _slow_times(slow: Sequence[Action]) -> tuple[Counter[_HopName], int]:
    """How much of the critical paths of these chains lies in each hop, and the length of all, ns."""
    times: Counter[_HopName] = Counter()
    total = 0
    for action in slow:
        whose = {id(node): (hop.operation, hop.host) for hop in action.hops for node in hop.node.walk()}
        for part in chain_parts(action):
            total += part.length
            if id(part.node) in whose:
                times[whose[id(part.node)]] += part.length
    return times, total


def _counted(words: Iterable[str]) -> tuple[Count, ...]:
    """How often each occurs, the most frequent first."""
    found = sorted(Counter(words).items(), key=lambda item: (-item[1], item[0]))
    return tuple(Count(name=name, count=count) for name, count in found)
