"""Writes a run as a journal of Chaos Toolkit, for `chaos report` and for what collects journals.

| of the run      | in the journal                                                                            |
|-----------------|-------------------------------------------------------------------------------------------|
| an objective    | a probe of the hypothesis afterwards; its output is the verdict, and the tolerance is met |
| a phase         | an action of the method, with its faults                                                  |
| a broken one    | the steady state is not met, and the experiment has deviated                              |
| an undecided one | the same, and its probe has failed, as Chaos Toolkit has it for what it could not measure |

A matrix is one journal; the names of its objectives and phases begin with the variant. A text of the run is a string of
JSON in ASCII, without `<` and `>`.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, BinaryIO

from chaoskit import __version__
from chaoskit.analysis.matrix import MatrixResult
from chaoskit.analysis.provenance import load_provenance
from chaoskit.analysis.result import ObjectiveResult, PhaseResult, Result
from chaoskit.report.formats.source import Run, Source
from chaoskit.report.headline import headline
from chaoskit.terminal import ascii_json, printable

_STATUS = {"finished": "completed", "interrupted": "interrupted", "running": "interrupted"}
Entry = dict[str, Any]


def write(source: Source, file: BinaryIO) -> None:
    """Write the journal."""
    text = ascii_json(json.dumps(_journal(source), indent=1, allow_nan=False))
    file.write((text.replace("<", "\\u003c").replace(">", "\\u003e") + "\n").encode("ascii"))


def _journal(source: Source) -> Entry:
    probes = [each for run in source.runs for each in _probes(run)]
    actions = [each for run in source.runs for each in _actions(run)]
    is_met = all(probe["tolerance_met"] for probe in probes)
    has_failed = any(probe["status"] == "failed" for probe in probes)
    status = source.found.status if isinstance(source.found, MatrixResult) else source.found.outcome.status
    begin = min(filter(None, (_started(run) for run in source.runs)), default=None)
    seconds = sum(run.result.seconds for run in source.runs if run.result is not None)
    return {
        "chaoslib-version": f"chaoskit {__version__}",
        "platform": platform.platform(),
        "node": platform.node(),
        "experiment": {
            "title": printable(source.name),
            "description": printable(f"{source.found.question} {headline(source.found)}".strip()),
            "tags": ["chaoskit"],
            "steady-state-hypothesis": {"title": "Its objectives", "probes": [each["activity"] for each in probes]},
            "method": [each["activity"] for each in actions],
            "rollbacks": [],
        },
        "start": _written(begin),
        "status": "failed" if has_failed and status == "finished" else _STATUS.get(status, "aborted"),
        "deviated": not is_met,
        "steady_states": {
            "before": None,
            "after": {"steady_state_met": is_met, "probes": probes} if probes else None,
            "during": [],
        },
        "run": actions,
        "rollbacks": [],
        "end": _written(begin and begin + timedelta(seconds=seconds)),
        "duration": seconds,
    }


def _probes(run: Run) -> Iterator[Entry]:
    """The objectives; of a variant without a result, a probe that failed."""
    if run.result is None:
        activity = _activity(run, "probe", "has a result", "chaoskit report")
        yield {"activity": activity, "output": None, "status": "failed", "tolerance_met": False} | _failure(run.missing)
        return
    for whose, found in _objectives(run.result):
        is_decided = found.verdict != "undecided"
        yield {
            "activity": _activity(run, "probe", whose + found.text, "chaoskit report") | {"tolerance": "met"},
            "output": found.verdict,
            "status": "succeeded" if is_decided else "failed",
            "tolerance_met": found.verdict == "met",
            **({"reason": printable(found.reason)} if is_decided else _failure(found.reason)),
        }


def _objectives(result: Result) -> Iterator[tuple[str, ObjectiveResult]]:
    for each in result.objectives:
        yield "", each
    for other in result.workloads:
        for each in other.objectives:
            yield f"{other.name}: ", each


def _actions(run: Run) -> Iterator[Entry]:
    """The phases, each with its first begin and its last end."""
    for phase in run.result.phases if run.result is not None else ():
        begin, end = _bounds(run, phase)
        yield {
            "activity": _activity(run, "action", phase.name, "chaoskit run"),
            "output": {"faults": [printable(each) for each in phase.settings], "streams": phase.metrics.started},
            "status": "succeeded",
            "start": _written(begin),
            "end": _written(end),
            "duration": phase.seconds,
        }


def _bounds(run: Run, phase: PhaseResult) -> tuple[datetime | None, datetime | None]:
    started = _started(run)
    if started is None or not phase.rounds:
        return None, None
    first, last = phase.rounds[0].begin_s, phase.rounds[-1].end_s
    return started + timedelta(seconds=first), started + timedelta(seconds=last)


def _activity(run: Run, kind: str, name: str, command: str) -> Entry:
    whole = f"{run.variant}: {name}" if run.variant else name
    path, arguments = command.split()
    return {
        "type": kind,
        "name": printable(whole),
        "provider": {"type": "process", "path": path, "arguments": arguments},
    }


def _failure(reason: str) -> Entry:
    return {"exception": [printable(reason)]}


def _started(run: Run) -> datetime | None:
    """When the run began; of an older one it is unknown."""
    made, _ = load_provenance(run.path)
    try:
        return None if made is None or made.started is None else datetime.fromisoformat(made.started)
    except ValueError:
        return None


def _written(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
