"""Warns of objectives that cannot be decided, before anything is run, and says what to type.

An objective is compared with what its phases give (`plan.timetable`) and what it needs at the least
(`spec.sample_size`). What is advised has been tried the same way: with it the warning is gone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from chaoskit.plan.advice import changes, looser
from chaoskit.plan.model import Plan
from chaoskit.plan.shortfalls import Shortfall, is_enough, shortfalls
from chaoskit.plan.timetable import SECOND, Timetable
from chaoskit.spec.experiment import Workload
from chaoskit.spec.objectives import Objective
from chaoskit.spec.sample_size import bound_of, is_zero_when_well, sample_sizes
from chaoskit.units import Duration, counted


def decidability_warnings(plan: Plan) -> tuple[str, ...]:
    """A sentence for each objective of a plan that cannot be decided, and what decides all where they are several."""
    table = Timetable.of(plan)
    never = _never(plan.objectives, table)
    found = shortfalls((each for each in plan.objectives if each not in never), table)
    told = [_needs(each, table, _one_of("write", [*changes([each], table), *looser(each)])) for each in found]
    if len(found) > 1 and (advice := list(changes(found, table))):
        told.append(f"to decide all of them{_one_of('write', advice)}")
    return (*never.values(), *told)


def probe_warnings(
    objectives: Sequence[Objective], workload: Workload, requests: int, max_time: Duration
) -> tuple[str, ...]:
    """The same for a probe that makes so many requests, in so much time at the most."""
    table = Timetable((), 1, workload, None, 0)
    never = _never(objectives, table)
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
    """`ttft_p95 < 800ms during wifi: needs 72 streams, gets about 60 in wifi, write wifi: 38s or repeats: 2`"""
    size, speed = short.size, table.assumption(short.objective.metric)
    if short.is_of_streaming:
        needs, gets = f"{_seconds(size.minutes)} of streaming", [_seconds(supply.minutes) for _, supply in short.given]
    else:
        needs, gets = counted(size.streams, "stream"), [str(supply.streams) for _, supply in short.given]
    whole = " in the run" if table.stretches else ""
    places = [f" in {name}" if name else whole for name, _ in short.given]
    told = [f"about {number}{place}" for number, place in zip(gets, places, strict=True)]
    where = " in each phase" if short.objective.reference else ""
    return f"{short.objective.text}: needs {needs}{where}, gets {', '.join(told)}{speed and f' {speed}'}{advice}"


def _seconds(minutes: float) -> str:
    return f"{math.ceil(minutes * 60)} s"


def _one_of(verb: str, words: Iterable[str]) -> str:
    """`; write a, b or c`, or nothing."""
    *others, last = ("", *words)
    listed = ", ".join(filter(None, others))
    return f"; {verb} {listed} or {last}" if listed else last and f"; {verb} {last}"


def _never(objectives: Iterable[Objective], table: Timetable) -> dict[Objective, str]:
    """A sentence for each objective that no number of streams decides."""
    return {each: f"{each.text}: {sentence}" for each in objectives if (sentence := _why_never(each, table))}


def _why_never(objective: Objective, table: Timetable) -> str:
    """The reason, and what to write; empty where a number decides."""
    sizes, metric = sample_sizes(objective), objective.metric
    little = "5" if objective.kind == "per-minute" else "5%"
    bound = "95%" if objective.operator in (">", ">=") else little
    other = f"such as {metric} {objective.operator} {bound}" + (f" during {objective.phase}" if objective.phase else "")
    if metric == "delivered_fraction" and table.server is None:
        return "stays undecided, for only the lab's server records what it sent; remove it"
    if objective.factor is not None and is_zero_when_well(metric):
        return f"stays undecided where {objective.reference} has none at all; give it a bound, {other}"
    if objective.factor is None and (most := table.most_per_second(metric)) and most <= bound_of(objective):
        return f"the workload asks for {most:.6g}/s and no more; write less, or a higher request-rate"
    if sizes.to_be_met is None:
        return f"can never be met, whatever the number of streams; leave it a margin, {other}"
    if sizes.to_be_broken is None:
        return "can never be broken, for nothing lies beyond it; write another bound"
    return ""
