"""Looks at a run while it lasts, which of its objectives are decided; tells afterwards what was seen."""

from __future__ import annotations

from pathlib import Path

from chaoskit.analysis.judge import judge
from chaoskit.analysis.load import RawRecords, load_records, load_workload
from chaoskit.analysis.look_results import LookResult, UntilDecided
from chaoskit.analysis.run_spec import spec_of
from chaoskit.analysis.streams.phase_samples import SECOND
from chaoskit.analysis.streams.timeline import Timeline
from chaoskit.records.look_record import Look
from chaoskit.records.model import DRAIN


def look(run: Path, at: int, rounds: int) -> Look:
    """The objectives of all workloads by the records so far. Raises SpecError as `load_records` does."""
    raw = load_records(run)
    found = [("", verdict) for verdict in judge(raw, spec_of(raw.plan)).verdicts]
    for other in raw.plan.workloads if raw.plan is not None else ():
        records = load_workload(run, raw, other)
        found += [(f"{other.name}: ", verdict) for verdict in judge(records, spec_of(records.plan)).verdicts]
    texts = {word: tuple(whose + each.text for whose, each in found if each.verdict == word) for word in _VERDICTS}
    return Look(at, rounds, texts["met"], texts["broken"], texts["undecided"])


_VERDICTS = ("met", "broken", "undecided")


def until_decided(raw: RawRecords, timeline: Timeline) -> UntilDecided | None:
    """What all looks of a run found; None where it had a fixed length."""
    if raw.plan is None or raw.plan.looks is None:
        return None
    rounds = 1 + max((phase.round for phase in raw.phases if phase.name != DRAIN), default=-1)
    return UntilDecided(
        most=len(raw.plan.looks.rounds),
        rounds=rounds,
        looks=tuple(
            LookResult(
                at_s=(each.at - timeline.begin) / SECOND,
                round=each.round,
                met=each.met,
                broken=each.broken,
                undecided=each.undecided,
            )
            for each in raw.looks
        ),
        is_out_of_time=rounds == raw.plan.looks.rounds[-1] and raw.status == "finished",
    )
