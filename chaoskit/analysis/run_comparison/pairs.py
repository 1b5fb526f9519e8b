"""Lists what is compared: headline metrics of every phase, and what objectives and tolerances name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chaoskit.analysis.run_comparison.changes import Pair, is_of_one_run
from chaoskit.analysis.run_comparison.sides import Key, Side, Sides
from chaoskit.analysis.streams.phase_samples import WHOLE_RUN
from chaoskit.analysis.streams.populations import EVERYBODY, Population
from chaoskit.spec.metrics import HEADLINES
from chaoskit.spec.tolerances import Tolerances

_OTHER_OBJECTIVES = "the runs have other objectives, so a good stream is not the same in both"


def pairs(reference: Sides, candidate: Sides, tolerances: Tolerances) -> Iterator[Pair]:
    """Those of all variants and workloads that both have."""
    for variant, side in candidate.items():
        if variant not in reference:
            continue
        base = reference[variant]
        is_same = side.has_records_of(base)
        for workload in (name for name in base.workloads if name in side.workloads):
            yield from _of_workload(variant, base, side, workload, tolerances, is_same)


def _of_workload(
    variant: str, base: Side, side: Side, workload: str, tolerances: Tolerances, is_same: bool
) -> Iterator[Pair]:
    phases = [name for name in base.phases(workload) if name in side.phases(workload)]
    named = dict.fromkeys(_named(base, side, workload, phases, tolerances))
    usual = [Key(workload, EVERYBODY, phase, metric) for phase in phases for metric in HEADLINES]
    for key in dict.fromkeys((*usual, *named)):
        margin = tolerances.of(key.metric)
        pair = Pair(
            variant,
            base,
            side,
            key,
            margin,
            key in named,
            margin is not None and (key in named or not named),
            base.why_undecided(key) or side.why_undecided(key) or _why_not_good(base, side, key),
            is_same,
        )
        if key in named or pair.has_values:
            yield pair


def _named(base: Side, side: Side, workload: str, phases: Sequence[str], tolerances: Tolerances) -> Iterator[Key]:
    """What the objectives of either side name, and the tolerances of single metrics in every phase."""
    for objective in (*base.workloads[workload].objectives, *side.workloads[workload].objectives):
        phase = objective.phase or (phases[0] if len(phases) == 1 else WHOLE_RUN)
        if (phase in phases or phase == WHOLE_RUN) and not is_of_one_run(objective.metric):
            yield Key(workload, Population.of(objective), phase, objective.metric)
    for metric in tolerances.own:
        yield from (Key(workload, EVERYBODY, phase, metric) for phase in phases)


def _why_not_good(base: Side, side: Side, key: Key) -> str:
    """Goodput is of streams that meet the objectives."""
    texts = [{each.text for each in one.workloads[key.workload].objectives} for one in (base, side)]
    return _OTHER_OBJECTIVES if key.metric == "goodput" and texts[0] != texts[1] else ""
