"""Everything that a run directory holds, read once. What is not there is empty: a run may have been killed."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from os.path import lexists
from pathlib import Path
from typing import get_args

from chaoskit.analysis.result import How
from chaoskit.analysis.streams.assemble import Streams, streams
from chaoskit.analysis.streams.columns import read_signs, read_tokens
from chaoskit.analysis.streams.timeline import DRAIN
from chaoskit.errors import SpecError
from chaoskit.plan.model import Plan, load_plan
from chaoskit.records.directory import MACHINE, OUTCOME, PLAN
from chaoskit.records.jsonl import FILES, read, read_numbered
from chaoskit.records.model import Counters, Hop, Phase, Request, ServedResponse, TcpInfo, UnackedSample, Vitals
from chaoskit.records.untrusted_files import damage_error, excerpt, parse_json, read_document

FIELDS = (
    *("advmss", "bytes_acked", "bytes_received", "bytes_retrans", "bytes_sent", "data_segs_in", "delivered"),
    *("last_data_recv", "last_data_sent", "lost", "options", "pmtu", "rcv_mss", "rcv_ooopack", "retransmits"),
    *("rto", "rtt", "sacked", "snd_mss", "total_retrans", "unacked"),
)
"""Of TCP_INFO, what the analysis looks at. A run has several samples of each stream, and the rest is not kept."""
_HOWS: tuple[How, ...] = get_args(How)


@dataclass(frozen=True)
class RawRecords:
    """The records of one run, in the order they were written. `plan` is None for a bare probe.

    `doubts` say what could not be read, and is not needed.
    """

    plan: Plan | None
    machine: dict[str, str]
    doubts: tuple[str, ...]
    how: How
    detail: str
    phases: list[Phase]
    requests: list[Request]
    streams: Streams
    infos: list[TcpInfo]
    vitals: list[Vitals]
    served: list[ServedResponse]
    unacked: list[UnackedSample]
    counters: list[Counters]
    hops: list[Hop]

    @property
    def last(self) -> int:
        """The latest stamp in any record; 0 when there is none."""
        return max(
            (
                *(phase.ready for phase in self.phases),
                *(request.ended for request in self.requests),
                self.streams.heard.last,
                *(line.at for line in self.vitals),
                *(sample.at for sample in self.counters),
            ),
            default=0,
        )


def load(run: Path) -> RawRecords:
    """Read a run directory.

    Raises SpecError when it is none, of another schema, or holds something that is no record of it.
    """
    try:
        os.stat(f"{run}/.")  # noqa: PTH116 - a Path would lose the dot, which fails where files cannot be reached
    except OSError as error:
        raise SpecError(f"{run} is no run directory: {error.strerror}") from None
    if not any(lexists(run / name) for name in (PLAN, FILES[Request], FILES[Phase])):
        raise SpecError(f"{run} is no run directory: it holds neither {PLAN} nor {FILES[Request]}")
    plan = load_plan(run) if lexists(run / PLAN) else None
    how, detail = how_it_went(run, plan is not None)
    requests = _requests(run)
    machine, doubt = _machine(run / MACHINE)
    return RawRecords(
        plan=plan,
        machine=machine,
        doubts=doubt,
        how=how,
        detail=detail,
        phases=_phases(run, plan),
        requests=requests,
        streams=streams(requests, read_tokens(run), read_signs(run)),
        infos=[replace(info, fields=_looked_at(info.fields)) for _, info in read_numbered(run, TcpInfo)],
        vitals=read(run, Vitals),
        served=[
            replace(one, tcp_info=_looked_at(one.tcp_info), tcp_info_at_start=_looked_at(one.tcp_info_at_start))
            for _, one in read_numbered(run, ServedResponse)
        ],
        unacked=[replace(one, fields=_looked_at(one.fields)) for _, one in read_numbered(run, UnackedSample)],
        counters=read(run, Counters),
        hops=read(run, Hop),
    )


def _looked_at(fields: dict[str, int]) -> dict[str, int]:
    return {name: fields[name] for name in FIELDS if name in fields}


def _phases(run: Path, plan: Plan | None) -> list[Phase]:
    """In the order of time, each one the plan's."""
    known = {DRAIN, *(phase.name for phase in plan.phases)} if plan is not None else None
    found: list[Phase] = []
    for number, phase in read_numbered(run, Phase):
        if known is not None and phase.name not in known:
            raise damage_error(run / FILES[Phase], f"{excerpt(phase.name)} is no phase of {PLAN}", number)
        if found and phase.begin < found[-1].begin:
            raise damage_error(run / FILES[Phase], "begins before the phase of the line above", number)
        found.append(phase)
    return found


def _requests(run: Path) -> list[Request]:
    """Each with a number of its own."""
    found: dict[int, Request] = {}
    for number, request in read_numbered(run, Request):
        if request.stream in found:
            raise damage_error(run / FILES[Request], f"stream {request.stream} for the second time", number)
        found[request.stream] = request
    return list(found.values())


def _machine(path: Path) -> tuple[dict[str, str], tuple[str, ...]]:
    """What the conductor noted of its machine, and why nothing is known of it if it cannot be read.

    Nothing and no reason when the conductor did not come so far.
    """
    try:
        text = read_document(path)
    except SpecError as error:
        return {}, (f"clock and kernel are not known: {error}",)
    told = {} if text is None else parse_json(text)
    return {name: value for name, value in told.items() if isinstance(value, str)}, ()


def how_it_went(run: Path, is_experiment: bool) -> tuple[How, str]:
    """How it went, as the conductor wrote it last. A bare probe has no conductor: it went as it went."""
    path = run / OUTCOME
    try:
        text = read_document(path)
    except SpecError:
        return "interrupted", f"killed: {path.name} cannot be read"
    if text is None:
        return ("interrupted", "killed: nobody wrote down how it ended") if is_experiment else ("finished", "")
    told = parse_json(text)
    how, detail = told.get("how"), told.get("detail", "")
    if how not in _HOWS or not isinstance(detail, str):
        return "interrupted", f"killed: {path.name} cannot be read"
    return how, detail
