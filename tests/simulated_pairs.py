"""Pairs of simulated runs, with a known difference or none, drawn from distributions that are hard on purpose.

Latencies are log-normal with a tenth of slow ones, each stream has a pace of its own, its stalls gather in few streams,
a few streams are interrupted. In the phase `wifi` everything is worse. `Change` is what the other run of a pair has.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from made_runs import Made, plan

TIMELINE = "[{baseline: 10s}, {wifi: 10s}]"
OBJECTIVES = ("ttft_p95 < 5s during wifi", "interruption_rate < 50% during wifi")


@dataclass(frozen=True)
class Change:
    """What is different in a run: factors of the latency and of the stalls of `wifi`, and more interruptions there."""

    latency: float = 1.0
    stalls: float = 1.0
    interrupted: float = 0.0


SAME = Change()


def simulated(
    seed: int, change: Change = SAME, streams: int = 60, tokens: int = 20, objectives: Sequence[str] = OBJECTIVES
) -> Made:
    """A run with so many streams in each phase."""
    chance = random.Random(seed)
    made = Made(plan(objectives, timeline=TIMELINE)).phases()
    for phase, (slower, stalling, dying) in enumerate(
        ((1.0, 0.002, 0.0), (1.6 * change.latency, 0.02 * change.stalls, 0.02 + change.interrupted))
    ):
        for number in range(streams):
            scheduled = 10_000 * phase + 9_000 * number / streams
            slow = 4 if chance.random() < 0.1 else 1
            at = scheduled + slower * slow * chance.lognormvariate(math.log(80), 0.4)
            pace, stalls = 20 * chance.lognormvariate(0, 0.15), chance.gammavariate(0.5, stalling / 0.5)
            arrivals = []
            for _ in range(tokens):
                arrivals.append(at)
                at += (
                    300 * chance.lognormvariate(0, 0.3)
                    if chance.random() < stalls
                    else pace * chance.lognormvariate(0, 0.2)
                )
            if chance.random() < dying:
                kept = arrivals[: chance.randint(0, tokens - 1)]
                made.stream(scheduled, kept, "reset", ended=(kept[-1] if kept else scheduled) + 50)
            else:
                made.stream(scheduled, arrivals)
    return made
