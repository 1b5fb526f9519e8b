"""Judges the attribution of a run by the exact method.

What is judged sees what any server leaves: the tokens as they came, TCP_INFO of the probe's own sockets, the capture.

Where a program stands in between, a burst on a connection that lost something may have waited in the program or behind
the loss, and stamps cannot tell which: the program's own socket does, if it was looked at meanwhile (each second). With
nothing unacknowledged nothing was on the way: it is `between`. Without a look it is `unknown`, and counts nowhere.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from chaoskit.analysis.attribution.first_tokens import first_tokens_of
from chaoskit.analysis.attribution.interruptions import interruption_cause
from chaoskit.analysis.attribution.run_evidence import RunEvidence, run_evidence, timeline_of
from chaoskit.analysis.attribution.stalls import verdicts
from chaoskit.analysis.attribution.verdict import Lateness, Verdict
from chaoskit.analysis.load import RawRecords, load_records
from chaoskit.analysis.network.connections_seen import SeenConnections
from chaoskit.analysis.segments.links import Links
from chaoskit.analysis.streams.gaps import Gap, Gaps
from chaoskit.records.directory import PLAN
from chaoskit.records.host_records import ConnectionEnd, HostSocket, HostState
from chaoskit.records.jsonl import FILES
from chaoskit.records.model import ServedResponse, SocketRead, UnackedSample
from chaoskit.records.spans import ModelState, Span
from chaoskit.topology.lab import CLIENT

LEVELS = ("capture", "TCP_INFO only")
Kind = Literal["stall", "interruption", "late first token"]
KIND_LEVELS = ("captures at the routers", "the server's counts", "a capture at the client", "TCP_INFO only")
_RECORDS = (ServedResponse, UnackedSample, ConnectionEnd, HostSocket, HostState, Span, ModelState)
_OURS = (PLAN, "result.json", *(FILES[each] for each in _RECORDS))
_AT_ROUTERS = "capture-*.pcapng"
_BURST = 3  # tokens
_REFERENCE = 4_000_000_000  # ns: the shortest first phase of all worlds
_QUEUES = ("queueing", "rate", "delay")  # what waited in a queue was late: without packets nothing tells more
_ALONE = 1_500_000_000  # ns after which what the phase before did is over
_MOST_OF_IT = 0.7  # of a stall's time; with less it has several causes


@dataclass(frozen=True)
class Judged:
    """A stall or an interruption of a phase: its true cause, and what is said on each level of evidence.

    The truth is `shared` where no cause has most of a stall. `why` has the sentence of each level.
    """

    kind: Kind
    phase: str
    stream: int
    begin: int
    truth: str
    said: tuple[str, ...]
    why: tuple[str, ...]


@dataclass(frozen=True)
class JudgedKind:
    """A stall of the network: its true kinds, and what is said it was on each level; "" where none is said.

    `sure`: whether that is said to be exact. `why` has the sentence of each level.
    """

    phase: str
    stream: int
    begin: int
    truth: tuple[str, ...]
    said: tuple[str, ...]
    sure: tuple[bool, ...]
    why: tuple[str, ...]


def judged_kinds(run: Path, truths: Mapping[str, tuple[str, ...]]) -> Iterator[JudgedKind]:
    """The stalls of a run that are the network's, in phases of which it is known what the network did.

    `truths` has the kinds of a phase; without any, it is what the captures at the routers tell of each packet.
    """
    raw = load_records(run)
    with tempfile.TemporaryDirectory(prefix="chaoskit-") as folder:
        foreign = load_records(_as_of_another_server(run, Path(folder)))
    exact, without = _Method(raw), _Method(replace(raw, capture=None, links=Links()))
    levels = (exact, without, _Method(foreign), _Method(replace(foreign, capture=None)))
    for key, verdict in exact.stalls.items():
        span, stall = exact.timeline.span_at(key[1]), verdict.stall
        is_whole = stall.after is not None and verdict.parts.network > _MOST_OF_IT * sum(verdict.parts)
        is_alone = span.ready + _ALONE < stall.gap.begin and stall.gap.end < span.end
        if span.name not in truths or not is_whole or not is_alone:
            continue
        found = [each.stalls.get(key) for each in levels]
        said = tuple((each.kind or "") if each is not None and each.cause == "network" else "" for each in found)
        sure = tuple(each is not None and each.kind_confidence == "exact" for each in found)
        why = tuple("" if each is None else each.sentence for each in found)
        truth = truths[span.name] or (_QUEUES if verdict.kind in _QUEUES else (verdict.kind or "",))
        yield JudgedKind(span.name, *key, truth, said, sure, why)


def judged(run: Path) -> Iterator[Judged]:
    """All stalls and interruptions of a run directory."""
    exact = _Method(load_records(run))
    with tempfile.TemporaryDirectory(prefix="chaoskit-") as folder:
        foreign = load_records(_as_of_another_server(run, Path(folder)))
    others = (_Method(foreign), _Method(replace(foreign, capture=None)))
    for key, verdict in exact.stalls.items():
        if verdict.stall.after is None:
            continue  # it is told as an interruption
        found = [each.stalls.get(key) for each in others]
        said = tuple("no stall" if each is None else each.cause for each in found)
        why = tuple("" if each is None else each.sentence for each in found)
        phase = exact.timeline.span_at(verdict.stall.gap.begin).name
        yield Judged("stall", phase, *key, _truth(verdict, exact), said, (*why, verdict.sentence))
    for stream, (begin, time) in exact.late_first_tokens.items():
        whose = time.cause if max(time) > _MOST_OF_IT * sum(time) else "shared"
        said = tuple(each.late_first_tokens[stream][1].cause for each in others)
        yield Judged("late first token", exact.timeline.span_at(begin).name, stream, begin, whose, said, ())
    for stream, (truth, ended, how) in exact.interruptions.items():
        said = tuple(each.interruptions[stream][0] for each in others)
        yield Judged("interruption", exact.timeline.span_at(ended).name, stream, ended, truth, said, (how,))


def _truth(verdict: Verdict, exact: _Method) -> str:
    if max(verdict.parts) <= _MOST_OF_IT * sum(verdict.parts):
        return "shared"
    if verdict.cause != "network" or not exact.has_program or verdict.stall.burst < _BURST:
        return verdict.cause
    looks = [each.fields for each in exact.looks_at_sender(verdict.stall.gap)]
    if not looks:
        return "unknown"
    return "network" if any(each.get("unacked") for each in looks) else "between"


class _Method:
    """What the attribution says by these records."""

    def __init__(self, raw: RawRecords) -> None:
        self._raw = raw
        self.timeline = timeline_of(raw)

    @property
    def has_program(self) -> bool:
        """Whether a program stands between the client and the server."""
        return self._raw.plan is not None and self._raw.plan.asks_program

    def looks_at_sender(self, gap: Gap) -> list[HostSocket]:
        """The samples of the socket at the far end of a stream's connection, taken during a gap."""
        port = self._known.evidence.ports.get(gap.stream)
        return [
            each
            for each in self._raw.host_sockets
            if (each.remote, each.remote_port) == (CLIENT, port) and gap.begin < each.at < gap.end
        ]

    @cached_property
    def _known(self) -> RunEvidence:
        seen = SeenConnections(self._raw.connection_ends, self._raw.host_sockets)
        return run_evidence(self._raw, self.timeline, seen)

    @cached_property
    def stalls(self) -> Mapping[tuple[int, int], Verdict]:
        """The verdicts, by stream and begin."""
        table = self._raw.streams.table
        found = verdicts(Gaps(table, np.flatnonzero(table.is_gap)), self._known.evidence)
        return {(each.stall.gap.stream, each.stall.gap.begin): each for each in found}

    @cached_property
    def late_first_tokens(self) -> Mapping[int, tuple[int, Lateness]]:
        """When each stream whose first token was late was asked for, and whose that is.

        Usual is what was asked for in the first seconds, which have no trouble but the server's.
        """
        counted = [stream.request for stream in self._raw.streams.ended if stream.is_counted]
        until = min(each.scheduled for each in counted) + _REFERENCE
        reference = [each for each in counted if each.scheduled < until]
        found = first_tokens_of(self._raw, self._known.evidence).late_ones(counted, reference)
        return {each.request.stream: (each.request.scheduled, each.time) for each in found}

    @cached_property
    def interruptions(self) -> Mapping[int, tuple[str, int, str]]:
        """Of each interrupted stream its cause, when it ended, and how."""
        ended = {each.stream.number: each for each in self._known.ended}
        died = {stream: each for (stream, _), each in self.stalls.items() if each.stall.after is None}
        found = {}
        for stream in self._raw.streams.ended:
            if stream.is_interrupted:
                number, request = stream.number, stream.request
                cause = interruption_cause(stream, ended.get(number), died.get(number), self._known.evidence)
                found[number] = (cause, request.ended, request.completion)
        return found


def _as_of_another_server(run: Path, folder: Path) -> Path:
    """A copy of a run directory without its plan, stamps, and what the lab's hosts recorded."""
    for path in run.iterdir():
        is_ours = path.name in _OURS or path.match(_AT_ROUTERS)
        if path.is_file() and not is_ours and path.name != FILES[SocketRead]:
            shutil.copyfile(path, folder / path.name)
    with (run / FILES[SocketRead]).open() as stamped, (folder / FILES[SocketRead]).open("w") as bare:
        for line in stamped:
            fields = json.loads(line)
            events = [value for at in range(6, len(fields), 4) for value in (fields[at], None, None, None)]
            bare.write(json.dumps(fields[:6] + events) + "\n")
    return folder
