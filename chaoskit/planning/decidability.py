"""Warns of objectives that cannot be decided, before anything is run, and says what to type.

An objective is compared with what its phases give (`plan.timetable`) and what it needs at the least
(`spec.sample_size`). What is advised has been tried the same way: with it the warning is gone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from ipaddress import ip_address
from itertools import product
from urllib.parse import urlsplit

from chaoskit.planning.advice import changes, looser
from chaoskit.planning.model import Plan
from chaoskit.planning.recovery_time import why_no_recovery
from chaoskit.planning.shortfalls import Shortfall, is_enough, shortfalls
from chaoskit.planning.timetable import SECOND, Supply, Timetable
from chaoskit.spec.metrics import METRICS
from chaoskit.spec.objectives import Objective
from chaoskit.spec.sample_size import OF_SPANS, bound_of, is_zero_when_well, sample_sizes
from chaoskit.spec.workload import Workload
from chaoskit.units import Duration, counted


def decidability_warnings(plan: Plan) -> tuple[str, ...]:
    """A sentence for each objective of a plan that cannot be decided, or only in one way."""
    table = Timetable.of(plan)
    never, found = _sorted(plan.objectives, table, plan.target, is_run=True)
    told = (_needs(each, table, _one_of("write", [*changes([each], table), *looser(each)])) for each in found)
    return (*never.values(), *told, *_contradictions(plan.objectives))


def without_value(plan: Plan) -> tuple[str, ...]:
    """A sentence for each objective of a plan that has no value, whatever happens and however often it is run."""
    return tuple(f"{each.text}: {why}" for each, why in _absent(plan, Timetable.of(plan)).items() if why)


def never_decided(plan: Plan) -> tuple[str, ...]:
    """A sentence for each objective of a plan that ends undecided, whatever happens in all its rounds.

    Not where the speed of a server is only assumed.
    """
    table = Timetable.of(plan)
    absent = _absent(plan, table)
    found = shortfalls((each for each, why in absent.items() if not why), table)
    surely = (each for each in found if not table.assumption(each.objective.metric))
    lacking = (each for each in surely if len(each.out_of_reach) == 2)
    return (
        *without_value(plan),
        *(_needs(each, table, _one_of("write", [*changes([each], table), *looser(each)])) for each in lacking),
    )


def supply_until(plan: Plan, objective: Objective) -> tuple[int, int | None]:
    """How many streams all rounds of a plan with looks give to an objective, and after how many it may be decided.

    In the clearest case, as in `spec.sample_size`; None where that is not known. Of two phases it is the poorer one.
    """
    table, looks = Timetable.of(plan), plan.looks
    assert looks is not None
    sizes = sample_sizes(objective, table.tail)
    known = [size for size in (sizes.to_be_met, sizes.to_be_broken) if size is not None]
    names = (objective.phase, *((objective.reference,) if objective.reference else ()))
    share = table.share_of(objective.traffic_class, objective.workflow)

    def given(rounds: int) -> list[Supply]:
        return [replace(table, repeats=rounds).gives(objective.metric, name, share) for name in names]

    is_recovery = objective.metric == "recovery_time"
    enough = (n for n in looks.rounds if any(all(is_enough(size, each) for each in given(n)) for size in known))
    return min(each.streams for each in given(looks.rounds[-1])), None if is_recovery else next(enough, None)


def joint_advice(plan: Plan) -> tuple[str, ...]:
    """What decides all objectives that lack streams, where they are several."""
    table = Timetable.of(plan)
    _, found = _sorted(plan.objectives, table, plan.target, is_run=True)
    advice = list(changes(found, table)) if len(found) > 1 else []
    return (f"to decide all {len(found)} at once{_one_of('write', advice)}",) if advice else ()


def _sorted(
    objectives: Sequence[Objective], table: Timetable, url: str, is_run: bool
) -> tuple[dict[Objective, str], list[Shortfall]]:
    """Those that no number of streams decides, each with a sentence, and those that need more."""
    never = _never(objectives, table, url, is_run)
    return never, shortfalls((each for each in objectives if each not in never), table)


def probe_warnings(
    objectives: Sequence[Objective],
    workload: Workload,
    url: str,
    requests: int,
    max_time: Duration,
    has_spans: bool = False,
) -> tuple[str, ...]:
    """The same for a probe of this URL that makes so many requests, in so much time at the most."""
    table = Timetable((), 1, workload, None, 0, has_spans=has_spans)
    never = _never(objectives, table, url, is_run=False)
    told = []
    for each in objectives:
        size, supply = sample_sizes(each).to_be_decided, table.supply(each.metric, requests)
        if each in never or size is None or is_enough(size, supply):
            continue
        short = Shortfall(each, size, ((None, supply),))
        more = math.ceil(requests * short.factor)
        option = f"--requests {more}" if is_enough(size, table.supply(each.metric, more)) else ""
        told.append(_needs(short, table, _one_of("give", filter(None, [option, *looser(short)]))))
    return (*never.values(), *told, *(_out_of_time(workload, requests, max_time) if objectives else ()))


def _out_of_time(workload: Workload, requests: int, max_time: Duration) -> Iterator[str]:
    """A probe that is stopped before its last request decides nothing."""
    rate = workload.request_rate
    if rate is not None and requests / rate.per_second > max_time.seconds:
        needed = Duration(math.ceil(requests / rate.per_second + 1) * SECOND)
        taken = f"{counted(requests, 'request')} at {rate} take{'s' * (requests == 1)}"
        yield f"{taken} longer than --max-time {max_time}, give --max-time {needed}"


def _needs(short: Shortfall, table: Timetable, advice: str) -> str:
    """`ttft_p95 < 800ms during wifi: needs 72 streams to be met, gets about 60 in wifi; write wifi: 38s`"""
    speed = table.assumption(short.objective.metric)
    if short.is_of_streaming:
        gets = [_seconds(supply.minutes) for _, supply in short.given]
    elif short.is_of_gaps:
        gets = [str(supply.gaps) for _, supply in short.given]
    else:
        gets = [str(supply.streams) for _, supply in short.given]
    whole = " in the run" if table.stretches else ""
    places = [f" in {name}" if name else whole for name, _ in short.given]
    told = [f"about {number}{place}" for number, place in zip(gets, places, strict=True)]
    return f"{short.objective.text}: needs {_needed(short)}, gets {', '.join(told)}{speed and f' {speed}'}{advice}"


def _needed(short: Shortfall) -> str:
    """What each verdict that is out of reach needs: `72 streams to be met`, `150 streams to be decided`."""
    where = " in each phase" if short.objective.reference else ""
    needed: dict[str, str] = {}
    for verdict, size in short.out_of_reach.items():
        amount = counted(size.streams, "stream")
        if short.is_of_streaming:
            amount = f"{_seconds(size.minutes)} of streaming"
        elif short.is_of_gaps:
            amount = counted(size.gaps, "gap")
        needed[verdict] = f"{amount}{where}"
    if len(needed) > 1 and len(set(needed.values())) == 1:
        needed = {"decided": needed["met"]}
    return " and ".join(f"{amount} to be {verdict}" for verdict, amount in needed.items())


def _seconds(minutes: float) -> str:
    return Duration(math.ceil(minutes * 60) * SECOND).spaced()


def _one_of(verb: str, words: Iterable[str]) -> str:
    """`; write one of: a, b, c`, or `; write a`, or nothing."""
    found = list(words)
    return f"; {verb} {'one of: ' if len(found) > 1 else ''}{', '.join(found)}" if found else ""


def _never(objectives: Iterable[Objective], table: Timetable, url: str, is_run: bool) -> dict[Objective, str]:
    """A sentence for each objective that no number of streams decides."""
    told = (
        (each, _why_absent(each.metric, table, url, is_run) or why_no_recovery(each, table) or _why_never(each, table))
        for each in objectives
    )
    return {each: f"{each.text}: {sentence}" for each, sentence in told if sentence}


def _absent(plan: Plan, table: Timetable) -> dict[Objective, str]:
    """Why an objective of a plan has no value, for each; empty where it may have one."""
    return {
        each: _why_absent(each.metric, table, plan.target, is_run=True) or why_no_recovery(each, table)
        for each in plan.objectives
    }


def _why_absent(metric: str, table: Timetable, url: str, is_run: bool) -> str:
    """Why nothing has a value of this metric, and what to write; empty where something may have."""
    match metric.rpartition("_")[0]:
        case "tls" if not url.lower().startswith("https:"):
            if table.server is not None:
                return "has no value, for this lab has no TLS; write tls: true in its stage, or remove it"
            return "has no value, for the URL has no TLS; write https:, or remove it"
        case "dns" if is_run:
            return "has no value, for a run looks names up before it begins; remove it, or ask chaoskit probe"
        case "dns" if _is_address(urlsplit(url).hostname or ""):
            return "has no value, for the URL has an address and no name; remove it"
        case "planned_pace" if table.server is not None and not table.server.token_interval:
            return "has no value, for the server plans no time between tokens; write a token-interval, or remove it"
    if METRICS[metric].name in ("toolchain", *OF_SPANS) and not table.has_spans:
        if table.server is not None:
            return "has no value, for this lab has one server and no hops; remove it, or write lab: service"
        if is_run:
            return "has no value, for nothing receives spans; write telemetry: {} in the file, or remove it"
        return "has no value, for nothing receives spans; give --telemetry, or remove it"
    if metric == "delivered_fraction" and table.server is None:
        return "stays undecided, for only the lab's server records what it sent; remove it"
    return ""


def _why_never(objective: Objective, table: Timetable) -> str:
    """Why it can end in one way only, and what to write; empty where a number of streams decides."""
    sizes, metric, bound = sample_sizes(objective, table.tail), objective.metric, bound_of(objective)
    is_upper = objective.operator in ("<", "<=")
    if _is_one_observation(table.workload) and not (metric.endswith("_max") or metric == "recovery_time"):
        return (
            "stays undecided, for all streams share one connection that is never silent, and are one observation; "
            "write connections: kept, or a request-rate and phases with demand: 0x in between"
        )
    if objective.factor is not None and is_zero_when_well(metric):
        return f"stays undecided where {objective.reference} has none at all; give it a bound, {_example(objective)}"
    if bound <= 0 and (objective.factor is not None or not is_zero_when_well(metric)):
        if is_upper:
            return "can never be met, for nothing is below 0; write a larger bound"
        return "can never be broken, for nothing is below 0; write a larger bound"
    most = table.most_per_second(metric) if objective.factor is None else None
    if most and most <= bound:
        if is_upper:
            return f"can never be broken, for the workload asks for {most:.6g}/s and no more; write less"
        return f"the workload asks for {most:.6g}/s and no more; write less, or a higher request-rate"
    if sizes.to_be_met is None:
        return f"can never be met, whatever the number of streams; leave it a margin, {_example(objective)}"
    if sizes.to_be_broken is None:
        return "can never be broken, for nothing lies beyond it; write another bound"
    return ""


def _is_one_observation(workload: Workload) -> bool:
    """Whether its streams are always together on one connection: `analysis.streams.connection_groups`."""
    return workload.connections == "shared" and (workload.max_concurrency or 1) > 1


def _example(objective: Objective) -> str:
    """The same objective with a bound that can be decided."""
    little = "5" if objective.kind == "per-minute" else "5%"
    bound = "95%" if objective.operator in (">", ">=") else little
    return f"such as {objective.metric} {objective.operator} {bound}{objective.clauses}"


def _contradictions(objectives: Sequence[Objective]) -> Iterator[str]:
    """A sentence for each two that cannot both be met."""
    for upper, lower in product(objectives, objectives):
        is_pair = upper.operator in ("<", "<=") and lower.operator in (">", ">=") and _subject(upper) == _subject(lower)
        both_may_equal = (upper.operator, lower.operator) == ("<=", ">=") and bound_of(upper) == bound_of(lower)
        if is_pair and bound_of(upper) <= bound_of(lower) and not both_may_equal:
            yield f"{upper.text} and {lower.text} cannot both be met; remove one"


def _subject(objective: Objective) -> tuple[str | None, ...]:
    return objective.metric, objective.phase, objective.traffic_class, objective.workflow, objective.reference


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
