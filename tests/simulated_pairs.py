"""Pairs of simulated runs, with a known difference or none, drawn from distributions that are hard on purpose.

Latencies are log-normal with a tenth of slow ones, each stream has a pace of its own, its stalls gather in few streams,
a few streams are interrupted. In the phase `wifi` everything is worse than in `baseline`.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from made_runs import Made

from chaoskit.planning.compile import compile_plan
from chaoskit.spec.load import parse

TEXT = """\
name: simulated
question: Does anything regress?
stage: {{lab: edge}}
workload: {{request-rate: 10/s, output-tokens: 20}}
faults:
  wifi: {{link: client-router, direction: down, netem: {{delay: {delay}}}}}
timeline: [{{baseline: 10s}}, {{wifi: 10s}}]
objectives: {objectives}
seed: {seed}
"""
OBJECTIVES = ("ttft_p50 < 5s during wifi", "interruption_rate < 50% during wifi")
_PHASE = 10_000  # ms
_USED = 9_000  # ms of a phase in which streams begin


@dataclass(frozen=True)
class Change:
    """What is different in `wifi` of a run: factors of the latency and of the stalls, and more interruptions."""

    latency: float = 1.0
    stalls: float = 1.0
    interrupted: float = 0.0


SAME = Change()
WORSE = Change(latency=3, stalls=5, interrupted=0.3)


@dataclass(frozen=True)
class Simulated:
    """A run and its experiment file."""

    made: Made
    text: str

    def write(self, folder: Path) -> Path:
        """Write both as a run directory."""
        run = self.made.write(folder)
        (run / "experiment.yaml").write_text(self.text)
        return run


def simulated(
    seed: int,
    change: Change = SAME,
    streams: int = 60,
    tokens: int = 20,
    objectives: Sequence[str] = OBJECTIVES,
    delay: str = "30ms",
) -> Simulated:
    """A run with so many streams in each phase."""
    text = TEXT.format(objectives=json.dumps(list(objectives)), seed=seed, delay=delay)
    chance = random.Random(seed)
    made = Made(compile_plan(parse(text, "made.yaml"))).phases()
    worlds = ((1.0, 0.002, 0.0), (1.6 * change.latency, 0.02 * change.stalls, 0.02 + change.interrupted))
    for phase, (slower, stalling, dying) in enumerate(worlds):
        for number in range(streams):
            scheduled = _PHASE * phase + _USED * number / streams
            slow = 4 if chance.random() < 0.1 else 1
            at = scheduled + slower * slow * chance.lognormvariate(math.log(80), 0.4)
            arrivals = _arrivals(chance, at, stalling, tokens)
            if chance.random() < dying:
                kept = arrivals[: chance.randint(0, tokens - 1)]
                made.stream(scheduled, kept, "reset", ended=(kept[-1] if kept else scheduled) + 50)
            else:
                made.stream(scheduled, arrivals)
    return Simulated(made, text)


def _arrivals(chance: random.Random, at: float, stalling: float, tokens: int) -> list[float]:
    pace, stalls = 20 * chance.lognormvariate(0, 0.15), chance.gammavariate(0.5, stalling / 0.5)
    found = []
    for _ in range(tokens):
        found.append(at)
        is_stall = chance.random() < stalls
        at += 300 * chance.lognormvariate(0, 0.3) if is_stall else pace * chance.lognormvariate(0, 0.2)
    return found
