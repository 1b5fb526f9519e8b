"""Builds run directories by hand: every directories with chosen stamps, so that every metric can be computed by hand.

Times are milliseconds after `START`; the records hold ns, as real ones do.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from chaoskit.analysis.streams.assemble import Streams, assemble_streams
from chaoskit.analysis.streams.columns import signs_of_life, token_columns
from chaoskit.planning.compile import compile_plan
from chaoskit.planning.model import Plan, PlannedWorkload
from chaoskit.probe.keepalives import KeepaliveCounter
from chaoskit.records.jsonl import FILES, to_line
from chaoskit.records.model import (
    Completion,
    Counters,
    Event,
    Keepalives,
    Phase,
    Record,
    Request,
    ServedResponse,
    SocketRead,
    TcpInfo,
    Vitals,
)
from chaoskit.spec.load import parse

START = 5_000_000_000_000
MS = 1_000_000
FLUSH = 250 * MS
EXPERIMENT = """\
name: made-by-hand
question: Are the numbers right?
stage: {{lab: edge}}
workload: {{request-rate: 10/s, output-tokens: 5{workload}}}
faults:
  wifi:
    link: client-router
    direction: down
    netem: {netem}
{more}timeline: {timeline}
objectives: {objectives}
seed: 42
"""


def plan(
    objectives: Sequence[str] = (),
    netem: str = "{delay: 30ms, loss: 10%}",
    timeline: str = "[{baseline: 10s}, {wifi: 10s}, {recovery: 10s}]",
    more: Sequence[str] = (),
    more_workload: str = "",
) -> Plan:
    """The plan of a small experiment: ten seconds each of baseline, wifi and recovery; `more` names more faults."""
    others = "".join(f"  {name}: {{link: client-router, direction: up, netem: {{delay: 1ms}}}}\n" for name in more)
    text = EXPERIMENT.format(
        objectives=json.dumps(list(objectives)), netem=netem, timeline=timeline, more=others, workload=more_workload
    )
    return compile_plan(parse(text, "made.yaml"))


def ns(ms: float) -> int:
    """The stamp of this time."""
    return START + round(ms * MS)


@dataclass
class Made:
    """Builds a run record by record."""

    plan: Plan | None = field(default_factory=plan)
    records: list[Record] = field(default_factory=list)
    outcome: dict[str, str] | None = field(default_factory=lambda: {"how": "finished", "detail": ""})
    count: int = 0

    def phases(self, settling: float = 0) -> Made:
        """Add the plan's phases and a drain; each phase is ready `settling` after its begin."""
        assert self.plan is not None
        at = 0.0
        for planned in self.plan.phases:
            until = at + planned.length / MS
            self.records.append(
                Phase(planned.name, planned.round, planned.faults, ns(at), ns(at + settling), ns(until))
            )
            at = until
        last = self.plan.phases[-1]
        self.records.append(Phase("drain", last.round, last.faults, ns(at), ns(at), ns(at + 5000)))
        return self

    def stream(
        self,
        scheduled: float,
        tokens: Sequence[float] = (),
        completion: Completion = "complete",
        ended: float | None = None,
        **more: object,
    ) -> int:
        """Add a stream whose tokens arrive at these times, one read each. Returns its number."""
        number, self.count = self.count, self.count + 1
        end = ended if ended is not None else (tokens[-1] if tokens else scheduled)
        first, last = (ns(tokens[0]), ns(tokens[-1])) if tokens else (None, None)
        request = Request(
            stream=number,
            scheduled=ns(scheduled),
            started=ns(scheduled),
            ended=ns(end),
            completion=completion,
            sent=ns(scheduled),
            headers=first,
            first_event=first,
            first_token=first,
            first_output=first,
            last_token=last,
            tokens=len(tokens),
        )
        self.records.append(replace(request, **more))  # type: ignore[arg-type]
        self.records += [self.read(number, read, at) for read, at in enumerate(tokens)]
        return number

    @staticmethod
    def read(
        stream: int, read: int, at: float, late: float = 0, looked: float | None = None, **event: int
    ) -> SocketRead:
        """One read of one token, `late` ms after the kernel received it; nothing was there at `looked`.

        The event's stamps are in ns.
        """
        seen = at if looked is None else looked
        return SocketRead(stream, read, ns(at), ns(at + late), ns(seen), 100, (Event("content", **event),))

    def many(self, begin: float, end: float, every: float, ttft: float = 100, pace: float = 20) -> Made:
        """Add complete streams of five tokens, one every `every` ms."""
        at = begin
        while at < end:
            self.stream(at, [at + ttft + pace * token for token in range(5)])
            at += every
        return self

    def counters(self, phase: str, packets: int, drops: int, begin: float, end: float, qlen: int = 0) -> Made:
        """Add samples of the shaped qdisc, between which `packets` were sent and `drops` dropped."""
        place, name = "router", "to-client"
        self.records += [
            Counters(ns(begin), place, name, phase, 0, 7, 700, 1, 0, 0, 0),
            Counters(ns(end), place, name, phase, 0, 7 + packets, 700, 1 + drops, 0, qlen, 0),
        ]
        return self

    def handshakes(self, begin: float, rtts: Sequence[float], resent: int = 0) -> Made:
        """Add connections from `begin` on, one each 10 ms, with these RTTs, whose SYN was sent again so often."""
        for index, rtt in enumerate(rtts):
            at = ns(begin + 10 * index)
            fields = {"rtt": round(rtt * 1000), "total_retrans": resent}
            self.records.append(TcpInfo(0, "connected", at, fields))
        return self

    def vitals(self, end: float, lag: float = 0.5) -> Made:
        """Add a record each half second from the start on."""
        for index in range(int(end / 500) + 1):
            self.records.append(Vitals(ns(index * 500), 1, 1, 1, round(lag * MS), 0))
        return self

    def served(self, stream: int, tokens: int, sent: int) -> Made:
        """Add the reference server's record of a stream."""
        self.records.append(ServedResponse(stream, START, START, START, tokens, sent, 0, "sent"))
        return self

    def written(self) -> list[Record]:
        """The records as a probe that flushes four times a second writes them."""
        counter, flushed = KeepaliveCounter(), 0
        found: list[Record] = []
        for record in self.records:
            if not isinstance(record, SocketRead):
                found.append(record)
                continue
            if record.at - flushed > FLUSH:
                found += counter.flush()
                flushed = record.at
            found += counter.add(record)
        return [*found, *counter.flush()]

    def streams(self) -> Streams:
        """The streams that the analysis assembles from the records."""
        records = self.written()
        return assemble_streams(
            (record for record in records if isinstance(record, Request)),
            token_columns(record for record in records if isinstance(record, SocketRead)),
            signs_of_life(record for record in records if isinstance(record, Keepalives)),
        )

    def write(self, run: Path) -> Path:
        """Write it as a run directory."""
        run.mkdir(parents=True, exist_ok=True)
        if self.plan is not None:
            (run / "plan.json").write_text(self.plan.model_dump_json())
        if self.outcome is not None:
            (run / "outcome.json").write_text(json.dumps(self.outcome))
        lines: defaultdict[str, list[str]] = defaultdict(list)
        for record in self.written():
            lines[FILES[type(record)]].append(to_line(record))
        for name, those in lines.items():
            with (run / name).open("a") as file:
                file.writelines(those)
        return run


def write_with_workload(run: Path) -> Path:
    """A run with two streams, beside which another client, `upload`, had one, with a stall."""
    made, other = Made().phases(), Made(None, outcome=None, count=1000)
    assert made.plan is not None
    work = PlannedWorkload(
        name="upload", target=made.plan.target, workload=made.plan.workload, objectives=(), first=other.count
    )
    made.plan = made.plan.model_copy(update={"workloads": (work,)})
    made.stream(1000, [1100, 1150])
    made.stream(11_000, [11_100, 11_150])
    other.stream(12_000, [12_100, 12_900])
    other.write(run / "workloads" / "upload")
    return made.write(run)
