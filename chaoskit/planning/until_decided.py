"""Plans a run that ends when its objectives are decided: its rounds, its looks, its intervals.

Who looks at growing data again and again, and stops at the first interval that excludes the bound, is wrong more often
than once in 20. So the intervals of all looks are wider, all alike, as of Pocock, Biometrika 64 (1977): the probability
that any of them misses the truth is 5 %. An interval that holds at every look holds whenever one stops (Jennison and
Turnbull, JRSS B 51 (1989), repeated confidence intervals): what ends a run, and what came in after it, plays no part.
"""

from __future__ import annotations

import math

from chaoskit.errors import SpecError
from chaoskit.planning.model import Looks
from chaoskit.spec.experiment import Experiment
from chaoskit.spec.interleaving import Order
from chaoskit.units import Duration

MOST_ROUNDS = 1000
_CONSTANTS = (
    *(1.9600, 2.1783, 2.2895, 2.3613, 2.4132, 2.4532, 2.4855, 2.5123, 2.5352, 2.5550),
    *(2.5724, 2.5880, 2.6019, 2.6146, 2.6261, 2.6367, 2.6465, 2.6556, 2.6640, 2.6720),
)
"""Pocock's, of 1, 2, ... looks at equal amounts of data: normal quantiles, for 5 % on both sides together."""
MOST_LOOKS = len(_CONSTANTS)


def tail_of(looks: int) -> float:
    """The probability beyond each end of an interval, with which so many looks together are wrong in 5 %."""
    return math.erfc(_CONSTANTS[looks - 1] / math.sqrt(2)) / 2


def looks_of(rounds: int, order: Order) -> Looks:
    """The looks of so many rounds: after each one, or each pair of interleaved ones; of many, evenly, twenty in all."""
    each = 2 if order == "interleaved" else 1
    step = each * math.ceil(rounds / each / MOST_LOOKS)
    found = (*range(step, rounds, step), rounds)
    return Looks(rounds=found, tail=tail_of(len(found)))


def with_rounds(experiment: Experiment, most: Duration) -> tuple[Experiment, Looks]:
    """The experiment with as many rounds as fit into this time, and its looks. Raises SpecError."""
    others = (objective for other in experiment.workloads.values() for objective in other.objectives)
    if not experiment.objectives and not any(True for _ in others):
        raise SpecError("--until-decided: the file has no objectives to decide; write objectives:, or leave it out")
    pair = 2 if experiment.order == "interleaved" else 1
    length = Duration(pair * sum(span.length for span in experiment.timeline))
    if most < length:
        what = "a pair of rounds, which are interleaved, takes" if pair == 2 else "one round of the timeline takes"
        raise SpecError(f"--max-time {most}: {what} {length}; give --max-time {Duration(10 * length)} for 10 looks")
    rounds = min(most // length * pair, MOST_ROUNDS)
    return experiment.model_copy(update={"repeats": rounds}), looks_of(rounds, experiment.order)


def when(looks: Looks) -> str:
    """When it looks, for people: `after each round, 9 times at most: intervals at 98.9 %`."""
    after = "each round" if looks.rounds[0] == 1 else f"every {looks.rounds[0]} rounds"
    times = "once, at the end" if len(looks.rounds) == 1 else f"after {after}, {len(looks.rounds)} times at most"
    return f"{times}: intervals at {100 - 200 * looks.tail:.3g} %"
