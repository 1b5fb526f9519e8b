"""Reads past runs and their series from a history file."""

from __future__ import annotations

import json
import math
import re
import shlex
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

from chaoskit.analysis.result import Unit
from chaoskit.analysis.trends.points import PastRun, Point, Series, Subject
from chaoskit.analysis.trends.tracks import JudgedTrack, Track, judge, tracks
from chaoskit.errors import SpecError
from chaoskit.faults.schema import suggestion
from chaoskit.history.file import reading
from chaoskit.spec.metrics import METRICS, advice

_USUAL = ("ttft_p95", "itl_p99", "stall_ratio", "interruption_rate")
"""Of the whole run, where a run has no objective."""
_AGE = re.compile(r"([0-9]{1,5})\s*(d|h|min)")
_AGES = {"d": "days", "h": "hours", "min": "minutes"}
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_RUN_FIELDS = tuple(each.name for each in fields(PastRun))
_NUMBERS = ("is_dirty", "streams", "is_overloaded")
_RUN = (
    "SELECT id, started, name, variant, experiment, target, clock, kernel, chaoskit, ifnull(git_commit, ''), "
    "ifnull(git_branch, ''), git_dirty, status, verdict, streams, overloaded FROM runs ORDER BY started, added, id"
)
_OBJECTIVES = (
    "SELECT run_id, label, metric, phase, unit, value, low, high, never, n FROM objectives "
    "WHERE run_id IN (SELECT id FROM runs WHERE name = ?) ORDER BY number"
)
_METRICS = (
    "SELECT run_id, metric || CASE phase WHEN '' THEN '' ELSE ' during ' || phase END, metric, phase, unit, value, "
    "low, high, never, n FROM metrics WHERE metric = ? AND run_id IN (SELECT id FROM runs WHERE name = ?)"
)

_PHASES = (
    "SELECT phase FROM phases WHERE run_id IN (SELECT id FROM runs WHERE name IN (SELECT value FROM json_each(?))) "
    "GROUP BY phase ORDER BY min(rowid)"
)


@dataclass(frozen=True)
class Selection:
    """What is looked at; None for everything. `since` is a date, an age, or a commit, as it was typed."""

    name: str | None = None
    variant: str | None = None
    metrics: tuple[str, ...] = ()
    phase: str | None = None
    since: str | None = None
    branch: str | None = None
    joins_files: bool = False


@dataclass(frozen=True)
class _Entry:
    """A row of `objectives` or `metrics`."""

    run: str
    subject: Subject
    phase: str
    value: float | None
    low: float | None
    high: float | None
    count: int


def judged_tracks(path: Path, selection: Selection, now: str) -> tuple[JudgedTrack, ...]:
    """The tracks that are selected, judged; `now` is the date, ISO 8601. Raises SpecError where there are none."""
    for metric in selection.metrics:
        if metric not in METRICS:
            raise SpecError(f"--metric: {metric!r} is not a metric; {advice(metric)}")
    with reading(path) as connection:
        try:
            runs = [_past_run(row) for row in connection.execute(_RUN)]
            chosen = _chosen(runs, selection, path, now)
            _require_phase(selection.phase, [row[0] for row in connection.execute(_PHASES, (_names(chosen),))])
            found = [(track, _series(connection, track, selection)) for track in tracks(chosen, selection.joins_files)]
        except (TypeError, ValueError, UnicodeError):
            raise SpecError(f"{path} is damaged: a column holds what is no number or no text") from None
    if (selection.metrics or selection.phase) and not any(series for _, series in found):
        asked = (
            f"{' or '.join(selection.metrics) or 'a metric'}{f' during {selection.phase}' if selection.phase else ''}"
        )
        raise SpecError(f"no such run that came to its end tells {asked}; chaoskit report RUNDIR shows what one tells")
    return judge(found)


def _names(runs: Iterable[PastRun]) -> str:
    return json.dumps(sorted({each.name for each in runs}))


def _require_phase(phase: str | None, known: Sequence[str]) -> None:
    if phase is not None and phase not in known:
        raise SpecError(f"--phase: no such run has a phase {phase!r}; {suggestion(phase, known)}")


def _past_run(row: Sequence[Any]) -> PastRun:
    told = dict(zip(_RUN_FIELDS, row, strict=True))
    if not all(isinstance(value, str) for name, value in told.items() if name not in _NUMBERS):
        raise TypeError
    numbers = {name: None if told[name] is None else int(told[name]) for name in _NUMBERS}
    flags = {name: None if numbers[name] is None else bool(numbers[name]) for name in ("is_dirty", "is_overloaded")}
    return PastRun(**(told | numbers | flags))


def _chosen(runs: Sequence[PastRun], selection: Selection, path: Path, now: str) -> list[PastRun]:
    """The runs that are selected."""
    if not runs:
        raise SpecError(
            f"{path} has no run yet; chaoskit history add RUNDIR --history {shlex.quote(str(path))} adds one"
        )
    found = list(runs)
    for option, attribute in (("", "name"), ("--variant: ", "variant"), ("--branch: ", "branch")):
        wanted = getattr(selection, attribute)
        if wanted is None:
            continue
        there = {getattr(each, attribute): None for each in found}
        found = [each for each in found if getattr(each, attribute) == wanted]
        if not found:
            known = suggestion(wanted, [each for each in there if each]) if any(there) else "it has none at all"
            kind = {"name": "experiment"}.get(attribute, attribute)
            raise SpecError(f"{option}{path} has no run of the {kind} {wanted!r}; {known}")
    if selection.since is not None:
        begin = _since(selection.since, found, now)
        found = [each for each in found if each.started >= begin]
        if not found:
            raise SpecError(f"--since: {path} has no such run since {begin}; give an earlier date")
    return found


def _since(text: str, runs: Iterable[PastRun], now: str) -> str:
    """The stamp from which on runs count. Raises SpecError."""
    if age := _AGE.fullmatch(text):
        return _stamp(datetime.fromisoformat(now) - timedelta(**{_AGES[age[2]]: int(age[1])}))
    if _COMMIT.fullmatch(text) and not re.fullmatch("20[0-9]{6}", text):
        at = next((each.started for each in runs if each.commit.startswith(text)), None)
        if at is None:
            raise SpecError(f"--since: no run was made at commit {text}")
        return at
    try:
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise SpecError(f"--since: {text!r} is no date, age or commit; write 2026-11-01, 14d, or a commit") from None
    return _stamp(moment if moment.tzinfo or len(text) > 10 else moment.replace(tzinfo=UTC))


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _series(connection: sqlite3.Connection, track: Track, selection: Selection) -> list[Series]:
    """The series of a track: of what its newest run was judged by, or of the metrics that were asked for."""
    sound = {each.identity: each for each in track.runs if each.is_sound}
    name = track.newest.name
    entries = [_entry(row) for row in connection.execute(_OBJECTIVES, (name,))]
    if selection.metrics or selection.phase is not None:
        wanted = selection.metrics or tuple(dict.fromkeys(each.subject.metric for each in entries)) or _USUAL
        plain = [_entry(row) for metric in wanted for row in connection.execute(_METRICS, (metric, name))]
        entries = [each for each in (*entries, *plain) if each.subject.metric in wanted]
        if selection.phase is not None:
            entries = [each for each in entries if each.phase == selection.phase]
    else:
        newest = next((run for run in reversed(sound) if any(each.run == run for each in entries)), None)
        labels = {each.subject.label for each in entries if each.run == newest}
        entries = [each for each in entries if each.subject.label in labels] or [
            each
            for metric in _USUAL
            for each in map(_entry, connection.execute(_METRICS, (metric, name)))
            if each.phase == ""
        ]
    return list(_assembled(entries, sound))


def _assembled(entries: Iterable[_Entry], runs: Mapping[str, PastRun]) -> Iterator[Series]:
    """A series for each subject; of two entries of one run and subject the first counts."""
    found: dict[str, dict[str, _Entry]] = defaultdict(dict)
    for each in entries:
        if each.run in runs:
            found[each.subject.label].setdefault(each.run, each)
    for by_run in found.values():
        subject = next(iter(by_run.values())).subject
        points = [
            Point(run, each.value, each.low, each.high, each.count)
            for identity, run in runs.items()
            for each in filter(None, [by_run.get(identity)])
            if each.value is not None
        ]
        if points:
            yield Series(subject, tuple(points))


def _entry(row: Sequence[Any]) -> _Entry:
    run, label, metric, phase, unit, value, low, high, never, count = row
    if unit not in get_args(Unit):
        raise ValueError
    numbers = (None if each is None else float(each) for each in (value, low, high))
    value, low, high = numbers
    return _Entry(run, Subject(label, metric, unit), phase, math.inf if int(never) else value, low, high, int(count))
